"""Order whole galleries by distance, for measures that look at every position (average precision, the PR curve)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, squared_distances

_SHIFT = np.uint64(32)


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

    Args:
        squared: squared distances of queries to the gallery, float32 (q, g), none below 0.
        ranks: place of each cluster per query, int64 (q, k); with ``assignment``, the order is that of a strict
            cluster-first search of everything. Without, it is the exhaustive one.
        assignment: cluster of each gallery row, int32 (g,).
        last: a gallery row of each query (itself) that goes to the very end, or -1, int64 (q,).
        rows: g, if ``squared`` has more columns than that.
    """
    # The bits of non-negative float32 order like the numbers.
    return order_of_bits(squared.view(np.uint32), ranks, assignment, last, rows)


def order_of_bits(
    keys: NDArray[np.uint32],
    ranks: NDArray[np.int64] | None = None,
    assignment: NDArray[np.int32] | None = None,
    last: NDArray[np.int64] | None = None,
    rows: int | None = None,
) -> NDArray[np.int32]:
    """Return rows by rising unsigned keys (q, g) as :func:`full_order` does, int32 (q, g)."""
    count = keys.shape[1] if rows is None else rows
    order = np.empty((len(keys), count), np.int32)
    places = np.arange(count, dtype=np.uint64)
    for i, own in enumerate(keys[:, :count]):
        end = -1 if last is None else int(last[i])
        row = _sorted_rows(own, places, end)
        if ranks is not None and assignment is not None:
            cluster = ranks[i][assignment[row]]
            if end >= 0:
                cluster[-1] = np.iinfo(np.int64).max
            row = row[np.argsort(cluster, kind="stable")]
        order[i] = row
    return order


def flags_in_order(
    keys: NDArray[np.uint32],
    flags: NDArray[np.uint8],
    owners: NDArray[np.int64],
    last: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """Return flags of the gallery in the order of :func:`order_of_bits`, uint8 (p, g).

    Args:
        keys: uint32 (q, g or more).
        flags: 0 or 1, in the gallery's own order, uint8 (p, g).
        owners: the query of each row of flags, rising, int64 (p,).
        last: a gallery row of each query that goes to the very end, or -1, int64 (q,).
    """
    out = np.empty_like(flags)
    places = np.arange(flags.shape[1], dtype=np.uint64)
    for i, end in enumerate(last.tolist()):
        mine = slice(*np.searchsorted(owners, [i, i + 1]))
        if mine.stop > mine.start:
            out[mine] = flags[mine][:, _sorted_rows(keys[i, : flags.shape[1]], places, end)]
    return out


def _sorted_rows(keys: NDArray[np.uint32], places: NDArray[np.uint64], last: int) -> NDArray[np.int32]:
    """Return rows by rising keys, ties by row; row ``last`` at the end unless that is -1."""
    # Keys and rows packed: values without ties sort several times faster than a stable argsort.
    packed = (keys.astype(np.uint64) << _SHIFT) | places
    if last >= 0:
        packed[last] |= ~np.uint64(0xFFFFFFFF)
    packed.sort()
    return packed.astype(np.uint32).astype(np.int32)
