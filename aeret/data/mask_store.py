"""Rasterise the masks of many photos in parts, on threads; a killed run continues where it stopped."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from aeret.data.collection import Collection
from aeret.data.masks import MaskPlanes, rasterise
from aeret.parts import Arrays, Parts, divided, on_threads
from aeret.progress import Progress

_PART = 2048  # photos


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

    def part(self, number: int) -> Arrays:
        """Rasterise the photos of one part.

        Returns:
            ``counts`` int64 (n), planes of each of its photos; ``category`` int16 (p) in the store, ascending within a
            photo; ``bits`` uint8 (p, ceil(size * size / 8)).

        Raises:
            DataError: a run-length mask whose runs do not fill its photo.
        """
        rows = self.rows[number * _PART : (number + 1) * _PART]
        planes = rasterise(self.collection, rows, self.size, self.threshold, self.crowd)
        counts = np.diff(planes.offsets)
        category = self.columns[planes.category]
        # Ascending within a photo again, where the file lists its categories in another order.
        order = np.lexsort((category, np.repeat(np.arange(len(planes)), counts)))
        return {"counts": counts, "category": category[order], "bits": planes.bits[order]}

    @cached_property
    def identity(self) -> str:
        """Digest of the content of all of it."""
        settings = (self.categories, self.size, self.threshold, self.crowd)
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


def write_masks(
    folder: Path, parts_folder: Path, job: MaskJob, threads: int, progress: Progress, title: str
) -> MaskPlanes:
    """Rasterise into ``folder``, except parts that are already there.

    Args:
        folder: where :class:`MaskPlanes` are saved.
        parts_folder: holds the parts; the caller removes it.
        job: what and how.
        threads: each with one part in memory; 0 means one per core. Never changes a byte.
        progress: opens one bar, in photos.
        title: of the bar.

    Returns:
        The planes, memory-mapped.

    Raises:
        DataError: a run-length mask whose runs do not fill its photo.
        OSError: the disk is full or a file cannot be written.
    """
    parts = Parts(parts_folder, job.identity, divided(len(job.rows), _PART))
    job.collection.by_photo()  # once, not in every thread at the same time
    parts.fill(lambda missing: on_threads(job.part, missing, threads), progress, title)
    MaskPlanes.save_parts(folder, parts, job.size, job.categories)
    return MaskPlanes.open(folder)
