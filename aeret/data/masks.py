"""Masks at latent-input resolution: area coverage of annotations, and bit-packed planes, one a category and photo."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aeret.data.collection import NO_MASK, Collection
from aeret.data.raster import cover_annotations, cover_planes
from aeret.errors import DataError
from aeret.parts import Parts


@dataclass(frozen=True)
class MaskPlanes:
    """The masks of n photos: p planes, one for each category that covers any cell of a photo; no empty ones."""

    size: int
    """cells along each side"""
    categories: int
    """how many categories there are"""
    offsets: NDArray[np.int64]
    """(n + 1); photo i has the planes ``offsets[i]`` to ``offsets[i + 1]``"""
    category: NDArray[np.int16]
    """(p) row of the category, ascending within a photo"""
    bits: NDArray[np.uint8]
    """(p, ceil(size * size / 8)) cells in row-major order, the first in the highest bit (``np.packbits``)"""

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.offsets) - 1

    def take(self, rows: ArrayLike) -> MaskPlanes:
        """Return the planes of the photos ``rows`` (k integers, in that order, repeats allowed) as arrays in memory."""
        photo, planes = self.planes_of(rows)
        offsets = np.append(0, np.cumsum(np.bincount(photo, minlength=np.size(rows)))).astype(np.int64)
        return MaskPlanes(self.size, self.categories, offsets, self.category[planes], self.bits[planes])

    def dense(self, rows: ArrayLike) -> NDArray[np.uint8]:
        """Return uint8 (k, size, size, categories), 1 where photo ``rows[i]`` has the category, else 0."""
        photo, planes = self.planes_of(rows)
        dense = np.zeros((np.size(rows), self.size, self.size, self.categories), np.uint8)
        dense[photo, :, :, self.category[planes]] = self.cells(planes)
        return dense

    def planes_of(self, rows: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the planes of photos, in order.

        Args:
            rows: k photos, repeats allowed.

        Returns:
            int64 (q,) each: for every plane its place in ``rows``, and its row in ``category`` and ``bits``.
        """
        chosen = np.asarray(rows, np.int64).reshape(-1)
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= len(self)):
            raise IndexError(f"rows {chosen.min()} to {chosen.max()} asked of the mask planes of {len(self)} photos")
        starts, counts = self.offsets[chosen], self.offsets[chosen + 1] - self.offsets[chosen]
        first = np.cumsum(counts) - counts
        planes = np.arange(counts.sum()) + np.repeat(starts - first, counts)
        return np.repeat(np.arange(len(chosen)), counts), planes

    def cells(self, planes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return uint8 (q, size, size) of 0 and 1: the cells of q planes."""
        bits = np.unpackbits(np.asarray(self.bits[planes]), axis=1, count=self.size * self.size)
        return bits.reshape(-1, self.size, self.size)

    def save(self, folder: Path) -> None:
        """Write the planes into ``folder``; ``planes.json`` comes last and makes them complete."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "category.npy", self.category)
        np.save(folder / "bits.npy", self.bits)
        _complete(folder, self.size, self.categories, self.offsets)

    @staticmethod
    def save_parts(folder: Path, parts: Parts, size: int, categories: int) -> None:
        """Write into ``folder`` what :meth:`save` writes, from parts that need not fit into memory together.

        Args:
            folder: is made if it is not there.
            parts: with ``counts`` int64 (n), planes of each photo; ``category`` and ``bits`` as in this class.
            size: cells along each side.
            categories: how many there are.

        Raises:
            OSError: a file cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "planes.json").unlink(missing_ok=True)
        parts.join(folder, ["category", "bits"])
        _complete(folder, size, categories, np.append(0, np.cumsum(parts.gather("counts"))))

    @classmethod
    def open(cls, folder: Path, mmap: bool = True) -> Self:
        """Open what :meth:`save` wrote, the planes memory-mapped unless told otherwise.

        Raises:
            DataError: the folder holds no complete set of planes.
        """
        mode: Literal["r"] | None = "r" if mmap else None
        try:
            facts = json.loads((folder / "planes.json").read_text())
            offsets = np.load(folder / "offsets.npy")
            # An empty array cannot be memory-mapped.
            mode = mode if facts["planes"] else None
            category, bits = (np.load(folder / f"{name}.npy", mmap_mode=mode) for name in ("category", "bits"))
            planes = cls(int(facts["size"]), int(facts["categories"]), offsets, category, bits)
            fits = len(offsets) == facts["photos"] + 1 and planes._fit()
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise DataError(
                f"{folder} holds no complete mask planes ({error}). Run `aeret stage prepare` again."
            ) from None
        if not fits:
            raise DataError(f"{folder}: its mask planes do not fit together. Run `aeret stage prepare` again.")
        return planes

    def _fit(self) -> bool:
        # What is compiled writes and reads where these say, unchecked.
        offsets, category, bits = self.offsets, self.category, self.bits
        return bool(
            [each.dtype.name for each in (offsets, category, bits)] == ["int64", "int16", "uint8"]
            and (offsets.ndim, category.ndim) == (1, 1)
            and bits.shape == (len(category), -(-self.size * self.size // 8))
            and offsets[0] == 0
            and offsets[-1] == len(category)
            and (np.diff(offsets) >= 0).all()
            and (not len(category) or (category.min() >= 0 and category.max() < self.categories))
        )


def _complete(folder: Path, size: int, categories: int, offsets: NDArray[np.int64]) -> None:
    np.save(folder / "offsets.npy", offsets)
    facts = {"size": size, "categories": categories, "photos": len(offsets) - 1, "planes": int(offsets[-1])}
    (folder / "planes.json").write_text(json.dumps(facts) + "\n")


def coverage(collection: Collection, annotation_rows: ArrayLike, size: int) -> NDArray[np.float32]:
    """Return how much of each cell an annotation covers when its photo is stretched to a square.

    Args:
        collection: whose annotations.
        annotation_rows: k integers.
        size: cells along each side.

    Returns:
        float32 (k, size, size) in 0..1: exact area, but that parts of one annotation which overlap within a cell that
        neither fills are added (and cut at 1). See :mod:`aeret.data.raster` for the fill rule.

    Raises:
        DataError: a run-length mask whose runs do not fill its photo.
    """
    rows = np.asarray(annotation_rows, np.int64).reshape(-1)
    covered = np.zeros((len(rows), size, size), np.float32)
    bad = cover_annotations(covered, rows, *_columns(collection))
    _demand_sound(collection, bad)
    return covered


def rasterise(
    collection: Collection,
    photo_rows: ArrayLike,
    size: int,
    threshold: float = 0.5,
    crowd: Literal["skip", "include"] = "skip",
) -> MaskPlanes:
    """Rasterise the masks of some photos straight at ``size``, one bit plane a category.

    The coverages of all annotations of one category are added and cut at 1; a cell is set where that is at least
    ``threshold``. A category too small to set any cell has no plane (its label stays, in ``Collection.labels``).

    Args:
        collection: whose photos.
        photo_rows: n integers; the result has them in this order.
        size: cells along each side.
        threshold: share of a cell's area, above 0 up to 1.
        crowd: what to do with ``iscrowd`` annotations.

    Raises:
        DataError: a run-length mask whose runs do not fill its photo.
    """
    photos = np.asarray(photo_rows, np.int64).reshape(-1)
    offsets, by_photo = collection.by_photo()
    counts = offsets[photos + 1] - offsets[photos]
    place = np.repeat(np.arange(len(photos)), counts)
    ends = np.cumsum(counts)
    rows = by_photo[np.arange(len(place)) + np.repeat(offsets[photos] - (ends - counts), counts)]
    kept = collection.kind[rows] != NO_MASK
    if crowd == "skip":
        kept &= ~collection.crowd[rows]
    rows, place = rows[kept], place[kept]
    categories = len(collection.category_ids)
    key = place * categories + collection.annotation_category[rows]
    order = np.argsort(key, kind="stable")
    planes, starts = np.unique(key[order], return_index=True)
    plane_offsets = np.append(starts, len(rows)).astype(np.int64)
    bits, filled, bad = cover_planes(plane_offsets, rows[order], size, threshold, *_columns(collection))
    _demand_sound(collection, bad)
    planes = planes[filled]
    return MaskPlanes(
        size=size,
        categories=categories,
        offsets=np.searchsorted(planes, np.arange(len(photos) + 1) * categories).astype(np.int64),
        category=(planes % max(categories, 1)).astype(np.int16),
        bits=bits[filled],
    )


def _columns(collection: Collection) -> tuple[Any, ...]:
    """Return the columns that the kernels read, in their order."""
    return (
        collection.kind,
        collection.part_offsets,
        collection.point_offsets,
        collection.points,
        collection.rle_offsets,
        collection.rle_text,
        collection.annotation_photo,
        collection.heights,
        collection.widths,
    )


def _demand_sound(collection: Collection, bad: int) -> None:
    if bad >= 0:
        photo = collection.annotation_photo[bad]
        height, width = collection.heights[photo], collection.widths[photo]
        raise DataError(
            f"annotation {collection.annotation_ids[bad]} (photo {collection.file_names[photo]}): its run-length mask "
            f"does not fill {height} x {width} pixels. Write its runs again, or remove it; `aeret data check MANIFEST` "
            "lists all such masks."
        )
