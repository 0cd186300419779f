"""Whole-gallery orders, for measures that look at every position (average precision, the PR curve)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, squared_distances


def cluster_ranks(queries: Vectors, centroids: Vectors) -> NDArray[np.int64]:
    """Return the place of each cluster in the order that cluster-first search visits them, int64 (q, k)."""
    return np.argsort(np.argsort(squared_distances(queries, centroids), axis=1, kind="stable"), axis=1)


def full_order(
    squared: Vectors,
    ranks: NDArray[np.int64] | None = None,
    assignment: NDArray[np.int32] | None = None,
) -> NDArray[np.int32]:
    """Return all gallery rows in the order of a search, int32 (q, g); ties by row.

    Args:
        squared: squared distances of queries to the gallery, float32 (q, g).
        ranks: place of each cluster per query, int64 (q, k); with ``assignment``, the order is that of a strict
            cluster-first search of everything. Without, it is the exhaustive one.
        assignment: cluster of each gallery row, int32 (g,).
    """
    queries, gallery = squared.shape
    row_bits = max(1, int(gallery - 1).bit_length())
    if ranks is None or assignment is None:
        ranks, assignment = np.zeros((queries, 1), np.int64), np.zeros(gallery, np.int32)
    if (ranks.shape[1] - 1).bit_length() + 32 + row_bits > 64:
        # Too many clusters and photos for one 64-bit key: about ten times slower.
        rows = np.arange(gallery)
        return np.stack([np.lexsort((rows, squared[i], ranks[i, assignment])) for i in range(queries)], dtype=np.int32)
    keys = np.empty((queries, gallery), np.uint64)
    _pack(squared.view(np.uint32), ranks, assignment, row_bits, keys)
    keys.sort(axis=1)
    keys &= np.uint64((1 << row_bits) - 1)
    return keys.astype(np.int32)


@numba.njit(nogil=True, cache=True)
def _pack(bits, ranks, assignment, row_bits, keys):  # type: ignore[no-untyped-def]
    shift = np.uint64(row_bits)
    for i in range(bits.shape[0]):
        for j in range(bits.shape[1]):
            cluster = np.uint64(ranks[i, assignment[j]]) << np.uint64(32)
            keys[i, j] = ((cluster | np.uint64(bits[i, j])) << shift) | np.uint64(j)
