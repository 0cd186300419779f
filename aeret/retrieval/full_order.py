"""Whole-gallery orders, for measures that look at every position (average precision, the PR curve)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, squared_distances

_LONGEST_DIGIT = 12
"""Bits sorted in one pass: the counts of 4,096 values stay in the first-level cache."""
_CARRIED = 4
"""Flags that travel with one sort: beside the last digit they fit into 16 bits."""


def cluster_ranks(queries: Vectors, centroids: Vectors) -> NDArray[np.int64]:
    """Return the place of each cluster in the order that cluster-first search visits them, int64 (q, k)."""
    return np.argsort(np.argsort(squared_distances(queries, centroids), axis=1, kind="stable"), axis=1)


def full_order(
    squared: Vectors,
    ranks: NDArray[np.int64] | None = None,
    assignment: NDArray[np.int32] | None = None,
    last: NDArray[np.int64] | None = None,
    rows: int | None = None,
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
        rows: g, where ``squared`` has more columns than that.
    """
    return order_of_bits(squared.view(np.uint32), ranks, assignment, last, rows)


def order_of_bits(
    keys: NDArray[np.uint32],
    ranks: NDArray[np.int64] | None = None,
    assignment: NDArray[np.int32] | None = None,
    last: NDArray[np.int64] | None = None,
    rows: int | None = None,
) -> NDArray[np.int32]:
    """Return rows by rising unsigned keys (q, g) as :func:`full_order` does, int32 (q, g)."""
    if ranks is None or assignment is None:
        ranks, assignment = np.zeros((len(keys), 0), np.int64), np.zeros(0, np.int32)
    if last is None:
        last = np.full(len(keys), -1, np.int64)
    order = np.empty((len(keys), keys.shape[1] if rows is None else rows), np.int32)
    _sort(keys, ranks, assignment, last, order)
    return order


def flags_in_order(
    keys: NDArray[np.uint32],
    flags: NDArray[np.uint8],
    owners: NDArray[np.int64],
    last: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Put flags of the gallery into the order of :func:`order_of_bits`, without making the order; return them.

    The flags travel in the lowest bits of the keys that are sorted, so that no row needs to be carried or looked up.

    Args:
        keys: uint32 (q, g or more), below 2**31 - 1; that of the ``last`` row is another one while this runs.
        flags: 0 or 1, in the gallery's own order, uint8 (p, g); sorted where they are.
        owners: the query of each row of flags, rising, int64 (p,).
        last: a gallery row of each query that goes to the very end, or -1, int64 (q,).
    """
    firsts = np.searchsorted(owners, np.arange(len(keys) + 1))
    _sort_flags(keys, flags, firsts, last)
    return flags


@numba.njit(nogil=True, cache=True)
def _span(keys, last):  # type: ignore[no-untyped-def]
    """Lowest key and the bits in which keys differ, with room for one beyond them where a row goes last."""
    low, high = np.uint32(0xFFFFFFFF), np.uint32(0)
    for part in (keys[: max(last, 0)], keys[last + 1 :]):
        for j in range(part.shape[0]):
            low, high = min(low, part[j]), max(high, part[j])
    if high < low:
        low = high
    span = high - low
    if last >= 0:
        span += np.uint32(1)
    width = 0
    while np.uint64(span) >> np.uint64(width):
        width += 1
    return low, span, width


@numba.njit(nogil=True, cache=True)
def _sort_flags(keys, flags, firsts, last):  # type: ignore[no-untyped-def]
    rows = flags.shape[1]
    if not rows:
        return
    wide, narrow = np.empty(rows, np.uint32), np.empty(rows, np.uint16)
    packed = np.empty(rows, np.uint8)
    places = np.empty((3, 1 << _LONGEST_DIGIT), np.uint32)
    for i in range(keys.shape[0]):
        row = keys[i, :rows]
        low, span, width = _span(row, last[i])
        passes = max(2, -(-width // _LONGEST_DIGIT))
        digit = -(-width // passes)
        own = row[last[i]]
        if last[i] >= 0:
            row[last[i]] = low + span
        for first in range(firsts[i], firsts[i + 1], _CARRIED):
            carried = min(_CARRIED, firsts[i + 1] - first)
            mine = flags[first]
            if carried > 1:
                mine = packed
                mine[:] = flags[first]
                for t in range(1, carried):
                    for j in range(rows):
                        mine[j] |= flags[first + t, j] << np.uint8(t)
            _count_digits(row, low, digit, places[:passes])
            if passes == 2:
                _first_pass(row, mine, low, digit, carried, places[0], narrow)
            else:
                _first_pass(row, mine, low, digit, carried, places[0], wide)
                _middle_pass(wide, digit, carried, places[1], narrow)
            _last_pass(narrow, carried, places[passes - 1], mine)
            if carried > 1:
                for t in range(carried):
                    for j in range(rows):
                        flags[first + t, j] = (mine[j] >> np.uint8(t)) & np.uint8(1)
        row[last[i]] = own


@numba.njit(nogil=True, cache=True)
def _count_digits(row, low, digit, places):  # type: ignore[no-untyped-def]
    """Write where the first of each value of each digit goes; the last digit is what is left."""
    places[:] = 0
    mask, shift = np.uint32((1 << digit) - 1), np.uint32(digit)
    left = np.uint32(digit * (places.shape[0] - 1))
    first, last = places[0], places[places.shape[0] - 1]
    for j in range(row.shape[0]):
        key = row[j] - low
        first[key & mask] += np.uint32(1)
        last[key >> left] += np.uint32(1)
    if places.shape[0] == 3:
        for j in range(row.shape[0]):
            places[1, ((row[j] - low) >> shift) & mask] += np.uint32(1)
    for p in range(places.shape[0]):
        total = np.uint32(0)
        for c in range(places.shape[1]):
            here = places[p, c]
            places[p, c] = total
            total += here


# Each pass leaves off the digit that it sorted by, so that what is moved gets smaller.
@numba.njit(nogil=True, cache=True)
def _first_pass(row, flags, low, digit, carried, places, out):  # type: ignore[no-untyped-def]
    mask, shift, room = np.uint32((1 << digit) - 1), np.uint32(digit), np.uint32(carried)
    for j in range(row.shape[0]):
        key = row[j] - low
        place = places[key & mask]
        places[key & mask] = place + np.uint32(1)
        out[place] = ((key >> shift) << room) | np.uint32(flags[j])


@numba.njit(nogil=True, cache=True)
def _middle_pass(keys, digit, carried, places, out):  # type: ignore[no-untyped-def]
    mask, shift, room = np.uint32((1 << digit) - 1), np.uint32(digit), np.uint32(carried)
    low = np.uint32((1 << carried) - 1)
    for j in range(keys.shape[0]):
        key = keys[j] >> room
        place = places[key & mask]
        places[key & mask] = place + np.uint32(1)
        out[place] = ((key >> shift) << room) | (keys[j] & low)


@numba.njit(nogil=True, cache=True)
def _last_pass(keys, carried, places, out):  # type: ignore[no-untyped-def]
    mask, room = np.uint16((1 << carried) - 1), np.uint16(carried)
    for j in range(keys.shape[0]):
        key = keys[j] >> room
        place = places[key]
        places[key] = place + np.uint32(1)
        out[place] = keys[j] & mask


@numba.njit(nogil=True, cache=True)
def _sort(keys, ranks, assignment, last, order):  # type: ignore[no-untyped-def]
    rows = order.shape[1]
    a, b = np.empty(rows, np.uint64), np.empty(rows, np.uint64)
    counts = np.empty(1 << _LONGEST_DIGIT, np.uint32)
    places = np.empty(ranks.shape[1] + 1, np.uint32)
    for i in range(keys.shape[0]):
        row = keys[i, :rows]
        low, span, width = _span(row, last[i])
        for j in range(rows):
            a[j] = (np.uint64(row[j] - low) << np.uint64(32)) | np.uint64(j)
        if last[i] >= 0:
            a[last[i]] = (np.uint64(span) << np.uint64(32)) | np.uint64(last[i])
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
    counts[: np.int64(mask) + 1] = 0
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
