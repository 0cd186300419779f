"""Measure how alike two layouts are, by intersection over union of their masks.

The mean is over the categories present in either of the two; a category that only one has counts 0, and two layouts
without masks have overlap 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.data.masks import MaskPlanes
from aeret.errors import UsageError
from aeret.retrieval.bits import ones, words_of_bytes

Overlaps = NDArray[np.float32]
_Planes = tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.uint64], NDArray[np.int64]]


class MaskOverlap:
    """Overlap of the masks of queries with those of a gallery, in [0, 1]; the gallery row to leave out has 0."""

    def __init__(self, queries: MaskPlanes, gallery: MaskPlanes, exclude: NDArray[np.int64]) -> None:
        """Bind masks of the same cells and categories; ``exclude`` is a gallery row a query or -1, int64 (q,).

        Raises:
            UsageError: the masks are of different sizes or categories.
        """
        if (queries.size, queries.categories) != (gallery.size, gallery.categories):
            raise UsageError(
                f"Masks of {queries.size} cells and {queries.categories} categories (queries) cannot be compared with "
                f"{gallery.size} cells and {gallery.categories} categories (gallery); prepare both with one setting."
            )
        self._categories = queries.categories
        self._queries = _planes(queries)
        self._gallery = self._queries if gallery is queries else _planes(gallery)
        self._exclude = exclude

    def all(self, query_rows: NDArray[np.int64]) -> Overlaps:
        """Return the overlap of every gallery photo with some queries, float32 (b, g)."""
        photos = len(self._gallery[0]) - 1
        return self.at(query_rows, np.broadcast_to(np.arange(photos), (len(query_rows), photos)))

    def at(self, query_rows: NDArray[np.int64], gallery_rows: NDArray[np.int64]) -> Overlaps:
        """Return the overlaps of ranked gallery photos, rows int64 (b, N), with some queries, float32 (b, N)."""
        out = np.empty(gallery_rows.shape, np.float32)
        _overlaps(query_rows, gallery_rows, *self._queries, *self._gallery, self._exclude, self._categories, out)
        return out


def planes_of(masks: NDArray[np.bool_]) -> MaskPlanes:
    """Return masks, bool (n, size, size, c), as bit planes, the empty ones left out."""
    _, size, _, categories = masks.shape
    present = masks.any(axis=(1, 2))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(present.sum(axis=1))])
    photo, category = np.nonzero(present)
    bits = np.packbits(masks[photo, :, :, category].reshape(len(photo), size * size), axis=1)
    return MaskPlanes(size, categories, offsets.astype(np.int64), category.astype(np.int16), bits)


def join(parts: Sequence[MaskPlanes]) -> MaskPlanes:
    """Return the planes of several sets of photos, one after the other; all of one size, with the same categories."""
    starts = np.cumsum([0, *(len(part.category) for part in parts)])
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=False)]
    return MaskPlanes(
        parts[0].size,
        parts[0].categories,
        np.concatenate([*offsets, starts[-1:]]).astype(np.int64),
        np.concatenate([part.category for part in parts]),
        np.concatenate([part.bits for part in parts]),
    )


def _planes(masks: MaskPlanes) -> _Planes:
    """Return offsets, category, words and area (cells set) of the planes."""
    words = words_of_bytes(np.ascontiguousarray(masks.bits))
    area = np.bitwise_count(words).sum(axis=1, dtype=np.int64)
    return masks.offsets, np.ascontiguousarray(masks.category), words, area


@numba.njit(nogil=True, cache=True)
def _overlaps(  # type: ignore[no-untyped-def]
    queries, rows, q_offsets, q_category, q_words, q_area, offsets, category, words, area, exclude, categories, out
):
    plane_of = np.full(categories, -1, np.int64)
    tile = 2048  # about 1 MB of planes, kept in the cache while all queries of the block pass over it
    for first in range(0, rows.shape[1], tile):
        for i in range(queries.shape[0]):
            q = queries[i]
            plane_of[:] = -1
            for p in range(q_offsets[q], q_offsets[q + 1]):
                plane_of[q_category[p]] = p
            planes = q_offsets[q + 1] - q_offsets[q]
            for r in range(first, min(rows.shape[1], first + tile)):
                j = rows[i, r]
                gain = _overlap(j, planes, plane_of, q_words, q_area, offsets, category, words, area)
                out[i, r] = 0.0 if j == exclude[q] else gain


@numba.njit(nogil=True, cache=True)
def _overlap(j, planes, plane_of, q_words, q_area, offsets, category, words, area):  # type: ignore[no-untyped-def]
    """Overlap of gallery photo j with the query whose ``planes`` planes are spread by category in ``plane_of``."""
    total, shared = 0.0, 0
    for p in range(offsets[j], offsets[j + 1]):
        q = plane_of[category[p]]
        if q < 0:
            continue
        shared += 1
        common = np.uint64(0)
        for w in range(words.shape[1]):
            common += ones(q_words[q, w] & words[p, w])
        either = q_area[q] + area[p] - np.int64(common)
        if either > 0:
            total += np.int64(common) / either
    present = planes + offsets[j + 1] - offsets[j] - shared
    return np.float32(total / present) if present else np.float32(0.0)
