"""A folder written beside the old one and then put in its place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aeret.artifacts import flush, locked, system_error
from aeret.errors import RunError, UsageError

_LOOKS, _PAUSE = 200, 0.01


@contextmanager
def replacing_folder(folder: Path, mark: str) -> Iterator[Path]:
    """Yield an empty sibling of a folder; flush it and rename it into place on success, remove it on failure.

    Args:
        folder: written or replaced.
        mark: file that a folder must hold to be replaced.

    Raises:
        UsageError: the folder holds files of another kind.
        AeretError: it cannot be written (:func:`aeret.artifacts.system_error`).
        RunError: another process is writing it.
    """
    try:
        with locked(folder):
            yield from _replacing(folder, mark)
    except OSError as error:
        raise system_error(f"{folder} cannot be written (the old one, if any, is untouched)", error) from None


def _replacing(folder: Path, mark: str) -> Iterator[Path]:
    _put_back(folder)
    if folder.exists() and not (folder / mark).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: holds other things (there is no {mark}) and is not written over; give another.")
    partial, old = folder.with_name(f".{folder.name}.partial"), _old(folder)
    # A killed save may have left either.
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    try:
        partial.mkdir()
        yield partial
        for path in [*partial.iterdir(), partial]:
            flush(path)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        flush(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def restored(folder: Path) -> Path:
    """Return the folder, put back where a process was killed between the two renames.

    A process that is between them now is waited for, two seconds at most: it holds the lock.
    """
    for _ in range(_LOOKS):
        if folder.exists() or not _old(folder).is_dir():
            break
        try:
            with locked(folder):
                _put_back(folder)
        except RunError:
            time.sleep(_PAUSE)
    return folder


def _put_back(folder: Path) -> None:
    """Undo the first rename of a process that was killed; the lock must be held."""
    old = _old(folder)
    if old.is_dir() and not folder.exists():
        old.rename(folder)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")
