"""Write long work in parts, resume after a kill, and join the parts.

One part is one ``.npz`` file, written under a temporary name, flushed and renamed. A part that is there is therefore
whole; one that was damaged since (its checksums tell) is made again. The folder belongs to one job: parts of another
job are removed. What is made twice must give the same bytes, so that a resumed run equals an unbroken one::

    parts = Parts(folder / "parts", {"model": key, "ids": digest(ids)}, sizes=divided(len(ids), 4096))
    parts.fill(lambda missing: (encode(number) for number in missing), progress, "embed photos")
    parts.join(folder)
    parts.clear()

A job whose parts have names instead of numbers (curves, a checkpoint) calls :meth:`Parts.load` and :meth:`Parts.save`.
"""

from __future__ import annotations

import shutil
import zipfile
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from aeret.artifacts import digest, flush, replacing_file, write_text
from aeret.cores import cores
from aeret.errors import DataError, ResourceError
from aeret.progress import Progress, silent

Arrays = Mapping[str, NDArray[Any]]
_T = TypeVar("_T")
_R = TypeVar("_R")
_JOB = "job"
_DAMAGED = (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile)


class Parts:
    """The parts of one job in a folder of their own.

    Args:
        folder: made if it is not there; holds nothing but these parts.
        job: JSON-able identity: whatever decides the content.
        sizes: items in each numbered part (rows, photos); they belong to the identity.

    Raises:
        AeretError: the folder cannot be written.
    """

    def __init__(self, folder: Path, job: Any, sizes: Sequence[int] = ()) -> None:
        self.folder, self.sizes = folder, tuple(map(int, sizes))
        path, identity = folder / _JOB, digest([job, self.sizes])
        if not path.is_file() or path.read_text(errors="replace") != identity:
            shutil.rmtree(folder, ignore_errors=True)
            write_text(path, identity)

    def save(self, key: int | str, arrays: Arrays) -> None:
        """Write or replace one part.

        Raises:
            OSError: it cannot be written; the old part, if any, is untouched.
        """
        save_arrays(self._path(key), arrays)

    def load(self, key: int | str) -> dict[str, NDArray[Any]] | None:
        """Read one part; None if it is missing or damaged."""
        return load_arrays(self._path(key))

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are missing or damaged."""
        return [number for number in range(len(self.sizes)) if self.load(number) is None]

    def fill(
        self,
        make: Callable[[list[int]], Iterable[Arrays]],
        progress: Progress = silent,
        title: str = "",
        unit: str = "photo",
    ) -> None:
        """Make all parts that are missing.

        Args:
            make: from the numbers of the missing parts to their arrays, in that order. With a generator no more than
                one part is in memory; :func:`on_threads` and :func:`in_order` compute a few ahead.
            progress: opens one bar, in items, that starts at those already done.
            title: of the bar.
            unit: of the bar.

        Raises:
            OSError: a part cannot be written; the parts before it stay.
        """
        todo = self.missing()
        total = sum(self.sizes)
        with progress(title, total, unit=unit, done=total - sum(self.sizes[number] for number in todo)) as step:
            for number, arrays in zip(todo, make(todo), strict=True):
                self.save(number, arrays)
                step(self.sizes[number])

    def join(self, folder: Path, names: Sequence[str] = ()) -> None:
        """Concatenate the arrays of all parts into ``<folder>/<name>.npy``, with one part in memory at a time.

        Args:
            folder: exists.
            names: of the arrays; all of the first part if empty.

        Raises:
            DataError: the arrays of two parts differ in dtype or in a dimension other than the first.
            OSError: the disk is full or a part cannot be read.
        """
        heads = [_heads(self._path(number)) for number in range(len(self.sizes))]
        joined = {}
        for name in names or heads[0]:
            for number, head in enumerate(heads):
                (shape, dtype), (first, expected) = head[name], heads[0][name]
                if shape[1:] != first[1:] or dtype != expected:
                    raise DataError(
                        f"{self._path(number)}: {name!r} is {dtype} {shape}, expected {expected} rows of {first[1:]} "
                        f"as in the first part; delete {self.folder} and run the same command again."
                    )
            shape = (sum(head[name][0][0] for head in heads), *first[1:])
            joined[name] = _created(folder / f"{name}.npy", expected, shape)
        places = dict.fromkeys(joined, 0)
        for number in range(len(self.sizes)):
            with np.load(self._path(number)) as part:
                for name, whole in joined.items():
                    array = part[name]
                    whole[places[name] : places[name] + len(array)] = array
                    places[name] += len(array)
        for whole in joined.values():
            if isinstance(whole, np.memmap):
                whole.flush()

    def gather(self, name: str) -> NDArray[Any]:
        """Return one array of all parts, concatenated in memory.

        Raises:
            DataError: a part is missing or damaged.
        """
        found = []
        for number in range(len(self.sizes)):
            arrays = self.load(number)
            if arrays is None:
                raise DataError(f"{self._path(number)}: is missing or damaged; run the same command again.")
            found.append(arrays[name])
        return np.concatenate(found)

    def clear(self) -> None:
        """Remove all parts: what they were for is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: int | str) -> Path:
        return self.folder / (f"{key:06d}.npz" if isinstance(key, int) else f"{key}.npz")


def divided(count: int, size: int) -> list[int]:
    """Return the sizes of the parts that ``count`` items make, ``size`` in each but the last; at least one part."""
    return [min(size, count - start) for start in range(0, count, size)] or [0]


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays into an ``.npz`` file that is either the old one or the new one, never half.

    Raises:
        OSError: it cannot be written.
    """
    with replacing_file(path, path.with_name(f".{path.name}.tmp")) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    flush(path.parent)


def load_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """Read what :func:`save_arrays` wrote; None if it is missing or damaged."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:  # opened here, as NumPy leaves a damaged one open
            return dict(arrays)
    except _DAMAGED:
        return None


def in_order(pool: Executor, work: Callable[[_T], _R], items: Iterable[_T], ahead: int) -> Generator[_R, None, None]:
    """Yield the results of ``work`` in the order of the items, at most ``ahead`` begun before they are wanted."""
    rest = iter(items)
    waiting: deque[Future[_R]] = deque(pool.submit(work, item) for item in islice(rest, ahead))
    try:
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(rest, 1))
            yield result
    finally:
        for future in waiting:
            future.cancel()


def on_threads(work: Callable[[_T], _R], items: Sequence[_T], threads: int) -> Iterator[_R]:
    """Yield the results of ``work`` in order from ``threads`` threads (0: one per core)."""
    count = max(1, min(threads or cores(), len(items)))
    with ThreadPoolExecutor(count) as pool:
        yield from in_order(pool, work, items, count)


def bytes_below(*folders: Path) -> int:
    """Return the bytes that the disk holds for folders, or for files; holes of sparse files do not count."""
    files = (path for folder in folders for path in (folder, *folder.rglob("*")) if path.is_file())
    return sum(path.stat().st_blocks * 512 for path in files)


def demand_room(folder: Path, need: int, purpose: str, mend: str) -> None:
    """Check that the disk of ``folder`` has ``need`` free bytes.

    Raises:
        ResourceError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if need > free:
        raise ResourceError(f"{folder}: {_size(need)} are needed {purpose}, {_size(free)} are free; {mend}")


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _heads(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Return shape and dtype of each array of a part, without its data."""
    found = {}
    with zipfile.ZipFile(path) as part:
        for member in part.namelist():
            with part.open(member) as file:
                np.lib.format.read_magic(file)
                shape, _, dtype = np.lib.format.read_array_header_1_0(file)
                found[member.removesuffix(".npy")] = (shape, dtype)
    return found


def _created(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    if 0 not in shape:
        return np.lib.format.open_memmap(path, "w+", dtype, shape)
    empty = np.zeros(shape, dtype)  # cannot be memory-mapped
    np.save(path, empty)
    return empty
