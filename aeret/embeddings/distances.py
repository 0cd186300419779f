"""Squared Euclidean distances whose last bit depends on the two vectors alone.

A matrix product adds in an order that depends on the shape of the batch and the number of threads, so near ties
change places between runs. These kernels add each pair's squares in one fixed order, which makes rankings and clusters
the same for any batch size and any number of threads, and equal vectors exactly equally far. The price is a factor of
two to three against a blocked single-precision product, in steps that take seconds.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError

Vectors = NDArray[np.float32]

_LARGEST = 1e15


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
    _nearest(vectors, centroids, labels, distances)


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
def _nearest(vectors, centroids, labels, distances):  # type: ignore[no-untyped-def]
    for i in range(vectors.shape[0]):
        best, which = np.float32(np.inf), 0
        for c in range(centroids.shape[0]):
            distance = squared_distance(vectors[i], centroids[c])
            if distance < best:
                best, which = distance, c
        labels[i] = which
        distances[i] = best
