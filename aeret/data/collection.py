"""Hold a COCO-format collection as columns, one array per field."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeret.data.coco import read_coco
from aeret.data.coco_columns import NO_MASK, POLYGONS, RLE
from aeret.data.rle import decode_strings
from aeret.data.rules import RULES
from aeret.errors import DataError

__all__ = ["NO_MASK", "POLYGONS", "RLE", "Collection", "read_collection"]


@dataclass(frozen=True)
class Collection:
    """Photos, categories and annotations, n, c and a of them, in the order of the file.

    ``annotation_photo`` and ``annotation_category`` are rows, not ids. Boxes and areas are in pixels of the record.
    Polygon parts are a list of lists: annotation i has the parts ``part_offsets[i]`` to ``part_offsets[i + 1]``; part p
    has the points ``point_offsets[p]`` to ``point_offsets[p + 1]``. Run-length masks stay in the compressed strings of
    the format, which take a quarter of the memory of their runs: annotation i has
    ``rle_text[rle_offsets[i]:rle_offsets[i + 1]]``.
    """

    photo_ids: NDArray[np.int64]
    """(n)"""
    file_names: list[str]
    """(n)"""
    heights: NDArray[np.int32]
    """(n) pixels"""
    widths: NDArray[np.int32]
    """(n) pixels"""
    category_ids: NDArray[np.int64]
    """(c)"""
    category_names: tuple[str, ...]
    """(c)"""
    supercategories: tuple[str, ...]
    """(c); the category's own name where the file gives none"""
    annotation_ids: NDArray[np.int64]
    """(a)"""
    annotation_photo: NDArray[np.int32]
    """(a) row of the photo"""
    annotation_category: NDArray[np.int32]
    """(a) row of the category"""
    crowd: NDArray[np.bool_]
    """(a) ``iscrowd``: one mask over many things"""
    area: NDArray[np.float64]
    """(a) square pixels; NaN where the file gives none"""
    boxes: NDArray[np.float32]
    """(a, 4) x, y, width, height in pixels; NaN where the file gives none"""
    kind: NDArray[np.uint8]
    """(a) NO_MASK, POLYGONS or RLE"""
    part_offsets: NDArray[np.int64]
    """(a + 1)"""
    point_offsets: NDArray[np.int64]
    """(parts + 1)"""
    points: NDArray[np.float64]
    """(m, 2) x, y in pixels; a pixel is a unit square, the first spans 0 to 1"""
    rle_offsets: NDArray[np.int64]
    """(a + 1)"""
    rle_text: NDArray[np.uint8]
    """(t) ASCII"""
    rle_sizes: NDArray[np.int32]
    """(a, 2) height, width of a run-length mask in pixels; 0 for others"""
    photo_flags: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    """name -> (n): every boolean key of the image records (``true_masks``), False where a record lacks it"""

    def __len__(self) -> int:
        """Return the number of photos."""
        return len(self.photo_ids)

    def by_photo(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return ``offsets`` int64 (n + 1) and ``rows`` int64 (a), the annotation rows of each photo.

        Photo i has ``rows[offsets[i]:offsets[i + 1]]``, in the order of the file. Sorted once, and read-only.
        """
        return self._by_photo

    @cached_property
    def _by_photo(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        counts = np.bincount(self.annotation_photo, minlength=len(self))
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        rows = np.argsort(self.annotation_photo, kind="stable").astype(np.int64)
        offsets.setflags(write=False)
        rows.setflags(write=False)
        return offsets, rows

    def labels(self, include_crowd: bool) -> NDArray[np.bool_]:
        """Return bool (n, c): whether photo i has an annotation of category j (crowds only where asked for)."""
        labels = np.zeros((len(self), len(self.category_ids)), np.bool_)
        kept = slice(None) if include_crowd else ~self.crowd
        labels[self.annotation_photo[kept], self.annotation_category[kept]] = True
        return labels

    def polygons(self, row: int) -> list[NDArray[np.float64]]:
        """Return the parts of one annotation, each float64 (k, 2); none where it has no polygon."""
        first, last = self.part_offsets[row : row + 2]
        return [
            self.points[a:b]
            for a, b in zip(self.point_offsets[first:last], self.point_offsets[first + 1 :], strict=False)
        ]

    def runs(self, row: int) -> NDArray[np.int64]:
        """Return the runs of one annotation's RLE in pixels, column-major, zeros first; none where it has no RLE."""
        first, last = self.rle_offsets[row : row + 2]
        return decode_strings([self.rle_text[first:last].tobytes()])[1]


def read_collection(path: Path) -> Collection:
    """Read a COCO annotation file, strictly.

    Args:
        path: a JSON file with ``images``, ``annotations`` and ``categories``; :mod:`aeret.data.rules` says what each
            record must hold and what happens to anything odd.

    Raises:
        DataError: the file is absent or breaks an *error* rule; the message names the first record that does and how
            to fix it.

    Example:
        >>> collection = read_collection(Path("instances_val.json"))  # doctest: +SKIP
        >>> collection.labels(include_crowd=False).shape  # doctest: +SKIP
        (682, 80)
    """
    if not path.is_file():
        raise DataError(
            f"{path} is not a file; expected a COCO annotation file (JSON). Correct the path in the manifest."
        )
    file = read_coco(path)
    errors = [problem for problem in file.problems if RULES[problem.rule].severity == "error"]
    if errors or file.columns is None:
        first = errors[0]
        alike = sum(each.rule == first.rule for each in errors) - 1
        more = f" (and {alike} more like it)" if alike else ""
        raise DataError(
            f"{path}: {first.where}: {first.text}{more} [{first.rule}]. To fix it, {RULES[first.rule].mend}. "
            "`aeret data check MANIFEST` lists every problem at once."
        )
    return Collection(**file.columns)
