"""Define what counts as a good result: three rules, reported side by side.

- ``any``: 1 if the two photos share a category, else 0 (the paper's).
- ``jaccard``: categories shared over categories in either.
- ``layout``: mean over the categories present in either photo's masks of the intersection over union of the two masks
  of that category; a category that only one photo has counts 0. Two photos without masks have relevance 0.

A query is never relevant to itself: the gallery row named by ``exclude`` gains 0. All gains lie in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aeret.data.masks import MaskPlanes
from aeret.errors import UsageError
from aeret.registry import lookup
from aeret.retrieval.mask_overlap import MaskOverlap

Gains = NDArray[np.float32]
_WHOLE = 16  # from this share of the gallery on, judging all of it is faster than gathering labels


@dataclass(frozen=True)
class Truth:
    """Labels and masks of queries and gallery, with the same categories in the same order."""

    query_labels: NDArray[np.bool_]
    """bool (q, c)."""
    gallery_labels: NDArray[np.bool_]
    """bool (g, c)."""
    exclude: NDArray[np.int64]
    """Gallery row of each query, or -1 if it is not in the gallery, int64 (q,)."""
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
    """``any`` and ``jaccard``: both depend on the label sets alone."""

    def __init__(self, truth: Truth, graded: bool) -> None:
        self._queries = truth.query_labels.astype(np.float32)
        self._gallery = truth.gallery_labels.astype(np.float32)
        self._sizes = self._queries.sum(axis=1), self._gallery.sum(axis=1)
        self._exclude, self._graded = truth.exclude, graded

    def gains(self, query_rows: NDArray[np.int64]) -> Gains:
        own, sizes = self._exclude[query_rows], self._sizes[0][query_rows, None] + self._sizes[1]
        found = self._gained(self._queries[query_rows] @ self._gallery.T, sizes)
        known = np.flatnonzero(own >= 0)
        found[known, own[known]] = 0
        return found

    def at(self, query_rows: NDArray[np.int64], gallery_rows: NDArray[np.int64]) -> Gains:
        if gallery_rows.shape[1] > len(self._gallery) // _WHOLE:
            return np.take_along_axis(self.gains(query_rows), gallery_rows, axis=1)
        sizes = self._sizes[0][query_rows, None] + self._sizes[1][gallery_rows]
        shared = np.matmul(self._gallery[gallery_rows], self._queries[query_rows, :, None])[:, :, 0]
        return np.where(gallery_rows == self._exclude[query_rows][:, None], np.float32(0), self._gained(shared, sizes))

    def _gained(self, shared: Gains, sizes: Gains) -> Gains:
        """Return gains from the number of shared labels and the summed sizes of both label sets."""
        return shared / np.maximum(sizes - shared, 1) if self._graded else (shared > 0).astype(np.float32)


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
    for part, labels in (("exclude", queries), ("query_masks", queries), ("gallery_masks", gallery)):
        given = getattr(truth, part)
        if given is not None and len(given) != len(labels):
            raise UsageError(f"{part} has {len(given)} rows but the labels have {len(labels)}.")
    return build(truth)
