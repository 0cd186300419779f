"""What counts as a good result: three rules, always reported side by side.

- ``any``: 1 where the two photos share a category, else 0 (the paper's).
- ``jaccard``: categories shared over categories in either.
- ``layout``: mean over the categories present in either photo's masks of the intersection over union of the two masks
  of that category; a category that only one photo has counts 0. Two photos without masks have relevance 0.

A query is never relevant to itself: the gallery row named by ``exclude`` gains 0. All gains lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.data.masks import MaskPlanes
from aeret.errors import UsageError
from aeret.registry import lookup
from aeret.retrieval.bits import ones, words_of_bools
from aeret.retrieval.mask_overlap import MaskOverlap

Gains = NDArray[np.float32]


@dataclass(frozen=True)
class Truth:
    """What is known of the queries and of the gallery; the same categories, in the same order, in both."""

    query_labels: NDArray[np.bool_]
    """bool (q, c)."""
    gallery_labels: NDArray[np.bool_]
    """bool (g, c)."""
    exclude: NDArray[np.int64]
    """Gallery row of each query, or -1 where it is not in the gallery, int64 (q,)."""
    query_masks: MaskPlanes | None = None
    gallery_masks: MaskPlanes | None = None


class Relevance(Protocol):
    """One rule, bound to one set of queries and one gallery."""

    def gains(self, query_rows: NDArray[np.int64]) -> Gains:
        """Return the gain of every gallery photo for some queries, float32 (b, g)."""
        ...

    def at(self, query_rows: NDArray[np.int64], gallery_rows: NDArray[np.int64]) -> Gains:
        """Return the gains of ranked gallery photos, rows int64 (b, N), for some queries, float32 (b, N)."""
        ...


class _Labels:
    """``any`` and ``jaccard``: both depend on label sets alone."""

    def __init__(self, truth: Truth, graded: bool) -> None:
        self._queries = words_of_bools(truth.query_labels)
        self._columns = np.ascontiguousarray(words_of_bools(truth.gallery_labels).T)
        self._sizes = truth.gallery_labels.sum(axis=1).astype(np.uint64)
        self._exclude = truth.exclude
        self._graded = graded

    def gains(self, query_rows: NDArray[np.int64]) -> Gains:
        out = np.empty((len(query_rows), len(self._sizes)), np.float32)
        queries, exclude = self._queries[query_rows], self._exclude[query_rows]
        _label_gains(queries, self._columns, self._sizes, exclude, self._graded, out)
        return out

    def at(self, query_rows: NDArray[np.int64], gallery_rows: NDArray[np.int64]) -> Gains:
        out = np.empty(gallery_rows.shape, np.float32)
        queries, exclude = self._queries[query_rows], self._exclude[query_rows]
        _label_gains_at(queries, self._columns, self._sizes, gallery_rows, exclude, self._graded, out)
        return out


class _Layout:
    """``layout``: intersection over union of masks, plane by plane."""

    def __init__(self, truth: Truth) -> None:
        if truth.query_masks is None or truth.gallery_masks is None:
            raise UsageError("The relevance 'layout' needs the masks of the queries and of the gallery; got none.")
        self._overlap = MaskOverlap(truth.query_masks, truth.gallery_masks, truth.exclude)

    def gains(self, query_rows: NDArray[np.int64]) -> Gains:
        return self._overlap.all(query_rows)

    def at(self, query_rows: NDArray[np.int64], gallery_rows: NDArray[np.int64]) -> Gains:
        return self._overlap.at(query_rows, gallery_rows)


RELEVANCES: dict[str, Callable[[Truth], Relevance]] = {
    "any": lambda truth: _Labels(truth, graded=False),
    "jaccard": lambda truth: _Labels(truth, graded=True),
    "layout": _Layout,
}


def relevance(name: str, truth: Truth) -> Relevance:
    """Bind a rule to queries and a gallery.

    Raises:
        UnknownNameError: no such rule.
        UsageError: labels, masks and ``exclude`` do not fit each other.
    """
    build = lookup(RELEVANCES, name, "relevance")
    queries, gallery = truth.query_labels, truth.gallery_labels
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
        raise UsageError(
            f"Queries and gallery must be labelled with the same categories, bool (n, c); got {queries.shape} and "
            f"{gallery.shape}."
        )
    counts = {"exclude": (len(truth.exclude), len(queries))}
    if truth.query_masks is not None:
        counts["query_masks"] = (len(truth.query_masks), len(queries))
    if truth.gallery_masks is not None:
        counts["gallery_masks"] = (len(truth.gallery_masks), len(gallery))
    for part, (given, expected) in counts.items():
        if given != expected:
            raise UsageError(f"{part} has {given} rows where the labels have {expected}.")
    return build(truth)


@numba.njit(nogil=True, cache=True)
def _label_gains(queries, columns, sizes, exclude, graded, out):  # type: ignore[no-untyped-def]
    """Gains of all gallery photos, whose label words are ``columns`` (w, g) and whose labels number ``sizes``."""
    tile = 1024
    shared = np.empty(tile, np.uint64)
    for i in range(queries.shape[0]):
        size = np.uint64(0)
        for w in range(queries.shape[1]):
            size += ones(queries[i, w])
        for first in range(0, columns.shape[1], tile):
            width = min(tile, columns.shape[1] - first)
            shared[:width] = 0
            for w in range(columns.shape[0]):
                mine = queries[i, w]
                for v in range(width):
                    shared[v] += ones(mine & columns[w, first + v])
            for v in range(width):
                either = size + sizes[first + v] - shared[v]
                gain = np.float32(shared[v]) / np.float32(max(either, np.uint64(1)))
                out[i, first + v] = gain if graded else np.float32(shared[v] != 0)
        if exclude[i] >= 0:
            out[i, exclude[i]] = 0.0


@numba.njit(nogil=True, cache=True)
def _label_gains_at(queries, columns, sizes, rows, exclude, graded, out):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        size = np.uint64(0)
        for w in range(queries.shape[1]):
            size += ones(queries[i, w])
        for r in range(rows.shape[1]):
            j = rows[i, r]
            shared = np.uint64(0)
            for w in range(columns.shape[0]):
                shared += ones(queries[i, w] & columns[w, j])
            gain = np.float32(shared) / np.float32(max(size + sizes[j] - shared, np.uint64(1)))
            if not graded:
                gain = np.float32(shared != 0)
            out[i, r] = 0.0 if j == exclude[i] else gain
