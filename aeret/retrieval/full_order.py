"""Whole-gallery orders, for measures that look at every position (average precision, the PR curve)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, squared_distances

_LONGEST_DIGIT = 12
"""Bits sorted in one pass: the counts of 4,096 values stay in the first-level cache."""


def cluster_ranks(queries: Vectors, centroids: Vectors) -> NDArray[np.int64]:
    """Return the place of each cluster in the order that cluster-first search visits them, int64 (q, k)."""
    return np.argsort(np.argsort(squared_distances(queries, centroids), axis=1, kind="stable"), axis=1)


def full_order(
    squared: Vectors,
    ranks: NDArray[np.int64] | None = None,
    assignment: NDArray[np.int32] | None = None,
    last: NDArray[np.int64] | None = None,
) -> NDArray[np.int32]:
    """Return all gallery rows in the order of a search, int32 (q, g); ties by row.

    A radix sort of the bits of the distances, which order like non-negative numbers, of as many bits as the distances
    of a query differ in; and after it of the clusters' places.

    Args:
        squared: squared distances of queries to the gallery, float32 (q, g), none below 0.
        ranks: place of each cluster per query, int64 (q, k); with ``assignment``, the order is that of a strict
            cluster-first search of everything. Without, it is the exhaustive one.
        assignment: cluster of each gallery row, int32 (g,).
        last: a gallery row of each query (itself) that goes to the very end, or -1, int64 (q,).
    """
    return order_of_bits(squared.view(np.uint32), ranks, assignment, last)


def order_of_bits(
    keys: NDArray[np.uint32],
    ranks: NDArray[np.int64] | None = None,
    assignment: NDArray[np.int32] | None = None,
    last: NDArray[np.int64] | None = None,
) -> NDArray[np.int32]:
    """Return rows by rising unsigned keys (q, g) as :func:`full_order` does, int32 (q, g)."""
    if ranks is None or assignment is None:
        ranks, assignment = np.zeros((len(keys), 0), np.int64), np.zeros(0, np.int32)
    if last is None:
        last = np.full(len(keys), -1, np.int64)
    order = np.empty(keys.shape, np.int32)
    _sort(keys, ranks, assignment, last, order)
    return order


@numba.njit(nogil=True, cache=True)
def _sort(keys, ranks, assignment, last, order):  # type: ignore[no-untyped-def]
    rows = keys.shape[1]
    a, b = np.empty(rows, np.uint64), np.empty(rows, np.uint64)
    counts = np.empty(1 << _LONGEST_DIGIT, np.uint32)
    places = np.empty(ranks.shape[1] + 1, np.uint32)
    for i in range(keys.shape[0]):
        low, high = np.uint32(0xFFFFFFFF), np.uint32(0)
        for j in range(rows):
            if j != last[i]:
                low, high = min(low, keys[i, j]), max(high, keys[i, j])
        for j in range(rows):
            a[j] = (np.uint64(keys[i, j] - low) << np.uint64(32)) | np.uint64(j)
        span = np.uint64(high - low) if high >= low else np.uint64(0)
        if last[i] >= 0:
            span += np.uint64(1)
            a[last[i]] = (span << np.uint64(32)) | np.uint64(last[i])
        width = 0
        while span >> np.uint64(width):
            width += 1
        passes = -(-width // _LONGEST_DIGIT)
        digit = -(-width // max(passes, 1))
        for p in range(passes):
            _pass(a, b, np.uint64(32 + p * digit), np.uint64((1 << digit) - 1), counts)
            a, b = b, a
        if ranks.shape[1]:
            _by_cluster(a, b, ranks[i], assignment, last[i], places)
            a, b = b, a
        for j in range(rows):
            order[i, j] = np.int32(a[j] & np.uint64(0xFFFFFFFF))


@numba.njit(nogil=True, cache=True)
def _pass(a, b, shift, mask, counts):  # type: ignore[no-untyped-def]
    """One stable counting pass by one digit."""
    counts[: mask + np.uint64(1)] = 0
    for j in range(a.shape[0]):
        counts[(a[j] >> shift) & mask] += np.uint32(1)
    total = np.uint32(0)
    for c in range(np.int64(mask) + 1):
        here = counts[c]
        counts[c] = total
        total += here
    for j in range(a.shape[0]):
        key = (a[j] >> shift) & mask
        place = counts[key]
        b[place] = a[j]
        counts[key] = place + np.uint32(1)


@numba.njit(nogil=True, cache=True)
def _by_cluster(a, b, ranks, assignment, last, places):  # type: ignore[no-untyped-def]
    """One stable counting pass by the place of the row's cluster."""
    places[:] = 0
    for j in range(assignment.shape[0]):
        places[ranks.shape[0] if j == last else ranks[assignment[j]]] += np.uint32(1)
    total = np.uint32(0)
    for c in range(places.shape[0]):
        here = places[c]
        places[c] = total
        total += here
    for j in range(a.shape[0]):
        row = np.int64(a[j] & np.uint64(0xFFFFFFFF))
        cluster = ranks.shape[0] if row == last else ranks[assignment[row]]
        b[places[cluster]] = a[j]
        places[cluster] += np.uint32(1)
