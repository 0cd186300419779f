"""Save an index into a folder whole or not at all, and open it again.

The arrays of each save have names of their own; ``index.json`` names those that count and is renamed into place last.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.artifacts import flush, locked, replacing_file, system_error, write_json
from aeret.errors import DataError, UsageError

T = TypeVar("T")
MANIFEST, VERSION = "index.json", 2
_DATA = re.compile(r"\w+\.(\d+)\.(npy|faiss)(\.tmp)?")
_OURS = re.compile(rf"{_DATA.pattern}|\.?index\.json(\.\d+\.tmp)?")
_FACTS = ("kind", "metric", "width", "vectors", "options", "save")


def save_index(folder: Path, facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], held: Any = None) -> None:
    """Write arrays, and an index of faiss where ``held`` is one, then the manifest; remove the save before.

    A process that is killed on the way leaves the old index.

    Raises:
        UsageError: the folder holds something that is no index.
        AeretError: it cannot be written (:func:`aeret.artifacts.system_error`).
        RunError: another process is writing it.
    """
    try:
        with locked(folder):
            _refuse_foreign(folder)
            folder.mkdir(parents=True, exist_ok=True)
            there = map(_DATA.fullmatch, (path.name for path in folder.iterdir()))
            number = 1 + max([0, *(int(found[1]) for found in there if found)])
            files = []
            for name, array in arrays.items():
                files.append(folder / f"{name}.{number}.npy")
                with replacing_file(files[-1], files[-1].with_suffix(".npy.tmp")) as file:
                    np.save(file, array)
            if held is not None:
                files.append(folder / f"held.{number}.faiss")
                write_faiss(held, str(files[-1]))
                flush(files[-1])
            sizes = {path.name: path.stat().st_size for path in files}
            write_json(folder / MANIFEST, {**facts, "version": VERSION, "save": number, "files": sizes})
            flush(folder)
            for path in folder.iterdir():
                if _OURS.fullmatch(path.name) and path.name not in (*sizes, MANIFEST):
                    path.unlink()
    except OSError as error:
        raise system_error(f"{folder} cannot be written (the old one, if any, is untouched)", error) from None


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what ``index.json`` holds, after a look at the files it names.

    Raises:
        DataError: the folder holds no index, one of another version, or a damaged one.
    """
    try:
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if facts["version"] != VERSION:
            raise DataError(
                f"{folder}: the index has format {facts['version']}, and this version of aeret reads {VERSION}; "
                "build it again."
            )
        for name in _FACTS:
            facts[name]
        for name, size in facts["files"].items():
            there = (folder / name).stat().st_size
            if there != size:
                raise ValueError(f"{name} has {there} bytes of {size}")
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = Path(str(error.filename)).name
        if missing == MANIFEST:
            raise DataError(f"{folder}: holds no index (there is no {MANIFEST}).") from None
        raise _damaged(folder, f"{missing} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, error) from None
    return dict(facts)


def opened(folder: Path, read: Callable[[dict[str, Any], dict[str, NDArray[Any]], Path | None], T], mmap: bool) -> T:
    """Return what ``read`` makes of the manifest, the arrays by name, and the file of faiss if there is one.

    Raises:
        DataError: the folder holds no index, or a damaged one.
    """
    facts = read_manifest(folder)
    try:
        paths = [folder / name for name in facts["files"]]
        # Copy on write: a kernel compiled for writable arrays would be compiled again for read-only ones.
        arrays = {
            path.name.split(".")[0]: np.asarray(np.load(path, mmap_mode="c" if mmap else None, allow_pickle=False))
            for path in paths
            if path.suffix == ".npy"
        }
        return read(facts, arrays, next((path for path in paths if path.suffix == ".faiss"), None))
    # RuntimeError is what faiss raises.
    except (OSError, KeyError, ValueError, EOFError, RuntimeError) as error:
        if _save_of(folder) != facts["save"]:  # replaced while it was read
            return opened(folder, read, mmap)
        raise _damaged(folder, error) from None


def write_faiss(index: Any, target: Any) -> None:
    """Write an index of faiss, of floats or bits, into a file or a writer of faiss."""
    write: Any = faiss.write_index_binary if isinstance(index, faiss.IndexBinary) else faiss.write_index
    write(index, target)


def _damaged(folder: Path, error: object) -> DataError:
    return DataError(f"{folder}: holds a damaged index ({error}); build it again.")


def _save_of(folder: Path) -> Any:
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["save"]
    except (OSError, ValueError, KeyError):
        return None


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists() or (folder / MANIFEST).is_file():
        return
    if not folder.is_dir() or not all(_OURS.fullmatch(path.name) for path in folder.iterdir()):
        raise UsageError(
            f"{folder}: holds other things (there is no {MANIFEST}) and is not written over; give another folder."
        )
