"""Average precision and the precision-recall curve."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.precision_recall import Counts, Hits, Values

LEVELS = 101
"""Recall levels of the PR curve: 0, 0.01, ..., 1."""


def average_precision_at(hits: Hits, relevant: Counts, n: int) -> Values:
    """Return average precision of the first ``n`` results, float64 (q,); NaN without a relevant photo.

    The sum of precision at each hit, over ``min(n, relevant)``: a perfect ranking has 1. With ``n`` the whole gallery
    it is plain average precision.

    Args:
        hits: whether each result is relevant, best first, bool (q, N).
        relevant: relevant photos in the gallery, the query itself not counted, int64 (q,).
        n: results looked at.
    """
    top = hits[:, :n]
    precision = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    total = (precision * top).sum(axis=1)
    return np.where(relevant > 0, total / np.maximum(np.minimum(relevant, n), 1), np.nan)


def walk(
    order: NDArray[np.int32],
    skip: int,
    query: NDArray[np.uint64],
    gallery: NDArray[np.uint64],
    classes: NDArray[np.int64],
    class_precision: Values,
    curve: Values,
) -> float:
    """Walk one query's order of the whole gallery and return its average precision (``any``: a shared label is a hit).

    Args:
        order: gallery rows, best first, int32 (g,).
        skip: gallery row of the query itself, passed over; or -1.
        query: label words, uint64 (w,).
        gallery: label words, uint64 (g, w).
        classes: classes whose own average precision is wanted, int64.
        class_precision: float64 (len(classes),), written; NaN where no other photo has the class.
        curve: interpolated precision at each recall level, float64 (LEVELS,), written; NaN without a relevant photo.
            May be empty: then no curve is made.

    Returns:
        Average precision over the whole order; NaN without a relevant photo.
    """
    return float(_walk(order, skip, query, gallery, classes, class_precision, curve))


@numba.njit(nogil=True, cache=True)
def _walk(order, skip, query, gallery, classes, class_precision, curve):  # type: ignore[no-untyped-def]
    words = query.shape[0]
    # Labels in the order of the ranking, fetched once: all walks after this one read them in sequence.
    labels = np.empty((order.shape[0], words), np.uint64)
    places = 0
    for r in range(order.shape[0]):
        if order[r] != skip:
            for w in range(words):
                labels[places, w] = gallery[order[r], w]
            places += 1
    positions = np.empty(places, np.int32)
    hits, total = 0, 0.0
    for r in range(places):
        shared = np.uint64(0)
        for w in range(words):
            shared |= labels[r, w] & query[w]
        if shared:
            positions[hits] = r + 1
            hits += 1
            total += hits / (r + 1)
    if curve.shape[0]:
        best, level = 0.0, curve.shape[0] - 1
        for h in range(hits, 0, -1):
            best = max(best, h / positions[h - 1])
            # Recall h / hits reaches every level l with l / 100 <= h / hits that h - 1 does not reach.
            while level >= 0 and level * hits > (h - 1) * (curve.shape[0] - 1):
                curve[level] = best
                level -= 1
        curve[: level + 1] = best if hits else np.nan
    for k in range(classes.shape[0]):
        word, bit = classes[k] // 64, np.uint64(1) << np.uint64(_bit(classes[k] % 64))
        found, summed = 0, 0.0
        for r in range(places):
            if labels[r, word] & bit:
                found += 1
                summed += found / (r + 1)
        class_precision[k] = summed / found if found else np.nan
    return total / hits if hits else np.nan


@numba.njit(nogil=True, cache=True)
def _bit(column):  # type: ignore[no-untyped-def]
    """Where np.packbits puts a column inside a little-endian word: bytes in order, highest bit first."""
    return (column // 8) * 8 + 7 - column % 8
