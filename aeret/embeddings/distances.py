"""Squared Euclidean distances whose last bit depends on the two vectors alone, and the nearest vectors by them.

A matrix product adds in an order that depends on the shape of the batch and the number of threads, so near ties change
places between runs. Here faiss searches with such products, for a few candidates more than are wanted; these are scored
again by a kernel that adds each pair's squares in one fixed order, and sorted by distance and then by row. Where the
rounding of the product could have hidden a nearer vector, all vectors are scored. So rankings and clusters are the same
for any batch size and any number of threads, and equal vectors are exactly equally far.
"""

from __future__ import annotations

import faiss
import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.one_thread import one_thread
from aeret.errors import UsageError

Vectors = NDArray[np.float32]

_LARGEST = 1e15
_SCORED_AT_ONCE = 2**22
_ROUNDING = 2.0**-24
_SHIFT, _ROW = np.uint64(32), np.uint64(0xFFFFFFFF)


def checked(vectors: NDArray[np.floating], name: str, width: int | None = None) -> Vectors:
    """Return vectors as contiguous float32 (n, d).

    Raises:
        UsageError: they are no matrix, not ``width`` wide, or hold NaN, infinity or values whose squares overflow.
    """
    if vectors.ndim != 2:
        raise UsageError(f"{name} must be a matrix (n, d), one vector a row; got an array of shape {vectors.shape}.")
    if width is not None and vectors.shape[1] != width:
        raise UsageError(f"{name} have {vectors.shape[1]} dimensions where {width} were expected.")
    whole = np.ascontiguousarray(vectors, np.float32)
    # The two extremes find NaN too, without a matrix of booleans.
    if whole.size and not (whole.min() >= -_LARGEST and whole.max() <= _LARGEST):
        bad = np.flatnonzero(~(np.abs(whole) <= _LARGEST).all(axis=1))
        raise UsageError(
            f"{name} hold NaN, infinity or values beyond {_LARGEST:g} in {len(bad)} of {len(whole)} rows, the first in "
            f"row {bad[0]}; the model that made them has diverged."
        )
    return whole


def squared_distances(queries: Vectors, vectors: Vectors, out: Vectors | None = None) -> Vectors:
    """Return squared Euclidean distances, float32 (q, n), of checked queries (q, d) to checked vectors (n, d)."""
    if out is None:
        out = np.empty((len(queries), len(vectors)), np.float32)
    _squared_distances(queries, vectors, out)
    return out


def nearest(vectors: Vectors, centroids: Vectors, labels: NDArray[np.int32], distances: Vectors) -> None:
    """Write the index of each vector's nearest centroid (ties: the lowest) and the squared distance to it.

    Args:
        vectors: checked, float32 (n, d).
        centroids: checked, float32 (k, d).
        labels: int32 (n,), written.
        distances: float32 (n,), written.
    """
    rows, squared = nearest_rows(vectors, centroids, 1)
    labels[:], distances[:] = rows[:, 0], squared[:, 0]


def nearest_rows(queries: Vectors, vectors: Vectors, n: int) -> tuple[NDArray[np.int64], Vectors]:
    """Return the rows, int64 (q, n), of the nearest vectors and the squared distances to them, float32 (q, n).

    Ties go to the lowest row. Runs on the calling thread alone.

    Args:
        queries: checked, float32 (q, d).
        vectors: checked, float32 (v, d); fewer than 2**32.
        n: at most v.
    """
    wanted = min(len(vectors), n + n // 4 + 1)
    if not (n and len(queries)):
        return np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32)
    with one_thread():
        rough, candidates = faiss.knn(queries, vectors, wanted)
    keys = np.empty((len(queries), wanted), np.uint64)
    _score(queries, vectors, candidates, keys)
    keys.sort(axis=1)
    rows, squared = decode(keys[:, :n])
    if wanted < len(vectors):
        # A vector this near has a norm of at most |q| + r, so neither way of summing errs by more than half the slack.
        reach = 2 * np.linalg.norm(queries, axis=1) + np.sqrt(squared[:, -1])
        slack = 2 * (queries.shape[1] + 4) * _ROUNDING * reach**2
        unsure = np.flatnonzero(rough[:, -1] - slack <= squared[:, -1])
        size = max(1, _SCORED_AT_ONCE // len(vectors))
        for some in (unsure[start : start + size] for start in range(0, len(unsure), size)):
            whole = squared_distances(queries[some], vectors)
            rows[some] = np.argsort(whole, axis=1, kind="stable")[:, :n]
            squared[some] = np.take_along_axis(whole, rows[some], axis=1)
    return rows, squared


def decode(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], Vectors]:
    """Return rows int64 and squared distances float32 of the keys of :func:`sort_keys`."""
    return (keys & _ROW).astype(np.int64), (keys >> _SHIFT).astype(np.uint32).view(np.float32)


# reassoc lets the compiler sum in vector lanes; NaN and infinity have been refused before.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def squared_distance(a, b):  # type: ignore[no-untyped-def]
    """Return the squared distance of two float32 vectors; the order of the sum depends on their length alone."""
    total = np.float32(0.0)
    for t in range(a.shape[0]):
        step = a[t] - b[t]
        total += step * step
    return total


@numba.njit(nogil=True, cache=True)
def _squared_distances(queries, vectors, out):  # type: ignore[no-untyped-def]
    # A tile of vectors stays in the second-level cache while all queries pass over it.
    tile = max(16, 65536 // max(1, queries.shape[1]))
    for first in range(0, vectors.shape[0], tile):
        last = min(vectors.shape[0], first + tile)
        for i in range(queries.shape[0]):
            for j in range(first, last):
                out[i, j] = squared_distance(queries[i], vectors[j])


@numba.njit(nogil=True, cache=True)
def sort_keys(query, vectors, rows, keys):  # type: ignore[no-untyped-def]
    """Write a key for each row, uint64: the bits of the squared distance to the query, then the row.

    The bits of a non-negative float32 order like the number, so keys order by distance and then by row.
    """
    distance = np.empty(1, np.float32)
    bits = distance.view(np.uint32)
    for j in range(rows.shape[0]):
        distance[0] = squared_distance(query, vectors[rows[j]])
        keys[j] = (np.uint64(bits[0]) << _SHIFT) | np.uint64(rows[j])


@numba.njit(nogil=True, cache=True)
def _score(queries, vectors, rows, keys):  # type: ignore[no-untyped-def]
    for i in range(queries.shape[0]):
        sort_keys(queries[i], vectors, rows[i], keys[i])
