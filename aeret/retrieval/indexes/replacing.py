"""A folder written beside the old one and then put in its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aeret.artifacts import resource_error
from aeret.errors import UsageError


@contextmanager
def replacing_folder(folder: Path, mark: str) -> Iterator[Path]:
    """Yield an empty sibling of a folder; flush it and rename it into place on success, remove it on failure.

    Args:
        folder: written or replaced.
        mark: file that a folder must hold to be replaced.

    Raises:
        UsageError: the folder holds files of another kind.
        ResourceError: it cannot be written.
    """
    restored(folder)
    if folder.exists() and not (folder / mark).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: holds other things (there is no {mark}) and is not written over; give another.")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        for path in [*partial.iterdir(), partial]:
            _flush(path)
        old = _old(folder)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        partial.rename(folder)
        _flush(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise resource_error(f"{folder} cannot be written (the old one, if any, is untouched)", error) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def restored(folder: Path) -> Path:
    """Return the folder, put back where a process was killed between the two renames."""
    old = _old(folder)
    if old.is_dir() and not folder.exists():
        old.rename(folder)
    return folder


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
