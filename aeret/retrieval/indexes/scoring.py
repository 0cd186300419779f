"""Raw distances whose last bit depends on the two vectors alone, by Euclid or by product, and the rows nearest by them.

Raw means squared (Euclidean, and cosine on unit vectors) or negated (dot product): what indexes sort by.
"""

from __future__ import annotations

import faiss
import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, nearest_rows, squared_distance, squared_distances
from aeret.embeddings.one_thread import one_thread

_SCORED_AT_ONCE = 2**22
_ROUNDING = 2.0**-24


def nearest_raw(
    queries: Vectors, vectors: Vectors, n: int, dot: bool, length: float | None = None
) -> tuple[NDArray[np.int64], Vectors]:
    """Return the rows, int64 (q, n), nearest to each query and the raw distances to them; ties by row.

    Runs on the calling thread alone.

    Args:
        queries: checked, float32 (q, d).
        vectors: checked, float32 (v, d).
        n: at most v.
        dot: by product, not by Euclid.
        length: of the longest vector or more; by product it is measured where not given.
    """
    return _largest_products(queries, vectors, n, length) if dot else nearest_rows(queries, vectors, n)


def raw_distances(queries: Vectors, vectors: Vectors, dot: bool) -> Vectors:
    """Return raw distances of all queries to all vectors, float32 (q, v)."""
    if not dot:
        return squared_distances(queries, vectors)
    out = np.empty((len(queries), len(vectors)), np.float32)
    _products(queries, vectors, out)
    return out


def raw_of_pairs(queries: Vectors, which: NDArray[np.integer], vectors: Vectors, dot: bool) -> Vectors:
    """Return the raw distance of ``queries[which[i]]`` to ``vectors[i]``, float32 (v,)."""
    out = np.empty(len(vectors), np.float32)
    _pairs(queries, which, vectors, dot, out)
    return out


def rounding(width: int, reach: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return by how much two ways of summing a raw distance can differ, at most.

    Args:
        width: dimensions.
        reach: of each query the length of everything that takes part, float (q,): two vectors between which it lies.
    """
    return 2 * (width + 4) * _ROUNDING * np.asarray(reach, np.float64) ** 2


def longest(vectors: Vectors) -> float:
    """Return the largest length of a vector."""
    return float(np.sqrt(np.einsum("nd,nd->n", vectors, vectors).max(initial=0.0)))


def _largest_products(
    queries: Vectors, vectors: Vectors, n: int, length: float | None
) -> tuple[NDArray[np.int64], Vectors]:
    wanted = min(len(vectors), n + n // 4 + 1)
    if not (n and len(queries)):
        return np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32)
    with one_thread():
        rough, candidates = faiss.knn(queries, vectors, wanted, metric=faiss.METRIC_INNER_PRODUCT)
    which = np.repeat(np.arange(len(queries)), wanted)
    raw = np.empty(which.shape, np.float32)
    flat, size = candidates.ravel(), max(1, _SCORED_AT_ONCE // queries.shape[1])
    for start in range(0, len(flat), size):
        part = slice(start, start + size)
        raw[part] = raw_of_pairs(queries, which[part], vectors[flat[part]], True)
    raw = raw.reshape(candidates.shape)
    order = np.lexsort((candidates, raw))[:, :n]
    rows, found = np.take_along_axis(candidates, order, axis=1), np.take_along_axis(raw, order, axis=1)
    if wanted < len(vectors):
        length = longest(vectors) if length is None else length
        slack = rounding(queries.shape[1], np.linalg.norm(queries, axis=1) + length)
        unsure = np.flatnonzero(-rough[:, -1] - slack <= found[:, -1])
        size = max(1, _SCORED_AT_ONCE // len(vectors))
        for some in (unsure[start : start + size] for start in range(0, len(unsure), size)):
            whole = raw_distances(queries[some], vectors, True)
            rows[some] = np.argsort(whole, axis=1, kind="stable")[:, :n]
            found[some] = np.take_along_axis(whole, rows[some], axis=1)
    return rows, found


# As in embeddings.distances: reassoc lets the compiler sum in lanes, in an order that the length alone decides.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def negated_product(a, b):  # type: ignore[no-untyped-def]
    """Return minus the product of two float32 vectors; the order of the sum depends on their length alone."""
    total = np.float32(0.0)
    for t in range(a.shape[0]):
        total += a[t] * b[t]
    return -total


@numba.njit(nogil=True, cache=True)
def _products(queries, vectors, out):  # type: ignore[no-untyped-def]
    for j in range(vectors.shape[0]):
        for i in range(queries.shape[0]):
            out[i, j] = negated_product(queries[i], vectors[j])


@numba.njit(nogil=True, cache=True)
def _pairs(queries, which, vectors, dot, out):  # type: ignore[no-untyped-def]
    for i in range(vectors.shape[0]):
        if dot:
            out[i] = negated_product(queries[which[i]], vectors[i])
        else:
            out[i] = squared_distance(queries[which[i]], vectors[i])
