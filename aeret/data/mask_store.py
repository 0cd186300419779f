"""Rasterise the masks of many photos on threads, so that a run killed at any moment continues where it stopped.

Photos are taken in blocks. A block that is done is a file of its own in ``masks.blocks``, renamed into place when it is
whole; in the end all are joined into ``masks`` and deleted. ``masks.journal`` says which job it is, so that blocks of
another collection or of other settings are never taken, and then that ``masks`` is complete. What is rasterised twice
gives the same bytes, so a resumed store equals an unbroken one.
"""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from aeret.artifacts import flush_files, replacing_file, write_text
from aeret.cores import cores
from aeret.data.collection import Collection
from aeret.data.masks import MaskPlanes, rasterise, save_planes
from aeret.errors import DataError
from aeret.progress import Progress

FOLDER = "masks"
BLOCKS = "masks.blocks"
JOURNAL = "masks.journal"
_BLOCK = 2048  # photos
_COMPLETE = "complete\n"

Block = tuple[npt.NDArray[np.int64], npt.NDArray[np.int16], npt.NDArray[np.uint8]]
"""Planes of each photo (n), and category (p) and bits (p, bytes) of each plane."""


@dataclass(frozen=True)
class MaskJob:
    """What is rasterised, and how: all that decides the result."""

    collection: Collection
    rows: npt.NDArray[np.int64]
    """(n) photos of the collection, in the order of the store."""
    columns: npt.NDArray[np.int16]
    """(c) category row of the collection to category of the store."""
    categories: int
    """How many the store has."""
    size: int
    threshold: float
    crowd: Literal["skip", "include"]

    def block(self, start: int) -> Block:
        """Rasterise the photos of one block.

        Args:
            start: its first photo, as a position in ``rows``.

        Returns:
            int64 (n) planes of each of its photos; int16 (p) category of each plane in the store, ascending within a
            photo; uint8 (p, ceil(size * size / 8)) bits of each plane.

        Raises:
            DataError: a run-length mask whose runs do not fill its photo.
        """
        planes = rasterise(self.collection, self.rows[start : start + _BLOCK], self.size, self.threshold, self.crowd)
        counts = np.diff(planes.offsets)
        channel = self.columns[planes.category]
        # Ascending within a photo again, where the file lists its categories in another order.
        order = np.lexsort((channel, np.repeat(np.arange(len(planes)), counts)))
        return counts, channel[order], planes.bits[order]

    @cached_property
    def identity(self) -> str:
        """Digest of the content of all of it."""
        settings = (_BLOCK, self.categories, self.size, self.threshold, self.crowd)
        sink = hashlib.blake2b(repr(settings).encode(), digest_size=16)
        read = self.collection
        for values in (
            self.rows,
            self.columns,
            read.heights,
            read.widths,
            read.annotation_photo,
            read.annotation_category,
            read.crowd,
            read.kind,
            read.part_offsets,
            read.point_offsets,
            read.points,
            read.rle_offsets,
            read.rle_text,
        ):
            sink.update(f"{values.dtype.str} {values.shape}".encode())
            sink.update(np.ascontiguousarray(values).data)
        return sink.hexdigest()


def write_masks(folder: Path, job: MaskJob, threads: int, progress: Progress, title: str) -> MaskPlanes:
    """Rasterise into ``folder/masks``, starting after the blocks that are already there.

    Args:
        folder: exists; may hold what a killed run left, which is continued if it is of the same job.
        job: what and how.
        threads: each with one block in memory; 0 means one per core. Never changes a byte.
        progress: opens one bar, in photos.
        title: of the bar.

    Returns:
        The planes without their bits, which stay on the disk.

    Raises:
        DataError: a run-length mask whose runs do not fill its photo.
        OSError: the disk is full or a file cannot be written.
    """
    blocks = folder / BLOCKS
    starts = range(0, len(job.rows), _BLOCK)
    planes, todo = _complete(folder, job), []
    if planes is None:
        _begin(folder, job)
        todo = [start for start in starts if not _whole(_path(blocks, start))]
    already = len(job.rows) - sum(len(job.rows[start : start + _BLOCK]) for start in todo)
    with progress(title, len(job.rows), unit="photo", done=already) as step:
        for count in _rasterised(job, blocks, todo, threads):
            step(count)
    if planes is None:
        _join(folder, job, [_path(blocks, start) for start in starts])
        write_text(folder / JOURNAL, f"{job.identity}\n{_COMPLETE}")
        planes = MaskPlanes.open(folder / FOLDER)
    shutil.rmtree(blocks, ignore_errors=True)
    return replace(planes, category=np.array(planes.category), bits=np.zeros((0, planes.bits.shape[1]), np.uint8))


def finish(folder: Path) -> None:
    """Remove the journal: the store is complete and will not be resumed."""
    (folder / JOURNAL).unlink(missing_ok=True)


def bytes_needed(folder: Path, job: MaskJob, planes: int) -> int:
    """Return how many bytes the disk needs at most beside what is in ``folder`` already.

    Args:
        folder: may hold what a killed run left, or nothing.
        job: what will be rasterised.
        planes: how many that gives at most.
    """
    if _complete(folder, job) is not None:
        return 0
    blocks = -(-len(job.rows) // _BLOCK) * 2048  # names and headers of their arrays
    # Each plane is there twice while blocks are joined.
    most = blocks + 2 * (planes * (-(-job.size * job.size // 8) + 2) + 8 * len(job.rows))
    there = [folder / BLOCKS, *([folder / FOLDER] if _said(folder) else [])]
    found: list[Path] = [path for each in there for path in each.glob("*")]
    return most - sum(path.stat().st_size for path in found)


def _said(folder: Path) -> str:
    path = folder / JOURNAL
    return path.read_text(errors="replace") if path.is_file() else ""


def _complete(folder: Path, job: MaskJob) -> MaskPlanes | None:
    """Return the planes if the journal says that they are complete and they can be opened."""
    if _said(folder) != f"{job.identity}\n{_COMPLETE}":
        return None
    try:
        return MaskPlanes.open(folder / FOLDER)
    except DataError:  # files of it were lost since
        return None


def _begin(folder: Path, job: MaskJob) -> None:
    """Make the journal say that this job is under way; keep blocks only if they are of it."""
    said = _said(folder)
    if not said.startswith(f"{job.identity}\n"):
        (folder / JOURNAL).unlink(missing_ok=True)
        shutil.rmtree(folder / BLOCKS, ignore_errors=True)
    if said != f"{job.identity}\n":
        write_text(folder / JOURNAL, f"{job.identity}\n")
    (folder / BLOCKS).mkdir(exist_ok=True)


def _whole(path: Path) -> bool:
    """Return whether a block is there and all of it can be read (its checksums are compared)."""
    try:
        with path.open("rb") as file, np.load(file) as block:  # opened here, as NumPy leaves a damaged one open
            for name in ("counts", "category", "bits"):
                _ = block[name]
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, zipfile.BadZipFile):
        return False
    return True


def _rasterised(job: MaskJob, blocks: Path, todo: list[int], threads: int) -> Iterator[int]:
    """Write blocks; yield the photos of each, in order."""
    if not todo:
        return

    def make(start: int) -> int:
        counts, category, bits = job.block(start)
        path = _path(blocks, start)
        with replacing_file(path, path.with_suffix(".part")) as file:
            np.savez(file, counts=counts, category=category, bits=bits)
        return len(counts)

    job.collection.by_photo()  # once, not in every thread at the same time
    with ThreadPoolExecutor(min(threads or cores(), len(todo))) as pool:
        # A block is in memory only while its thread writes it, so all may be asked for at once.
        waiting = [pool.submit(make, start) for start in todo]
        try:
            for future in waiting:
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def _join(folder: Path, job: MaskJob, paths: list[Path]) -> None:
    counts, category = [np.zeros(1, np.int64)], [np.zeros(0, np.int16)]
    for path in paths:
        with np.load(path) as block:
            counts.append(block["counts"])
            category.append(block["category"])
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    save_planes(
        folder / FOLDER,
        job.size,
        job.categories,
        np.cumsum(np.concatenate(counts)),
        np.concatenate(category),
        (_bits(path) for path in paths),
    )
    flush_files(folder / FOLDER)  # before the journal says that it is complete


def _bits(path: Path) -> Any:
    with np.load(path) as block:
        return block["bits"]


def _path(blocks: Path, start: int) -> Path:
    return blocks / f"{start // _BLOCK:06d}.npz"
