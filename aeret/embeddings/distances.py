"""Compute squared Euclidean distances and nearest vectors on faiss.

Distances are summed pair by pair, so that equal vectors are equally far (docs/decisions/0010-no-last-bits.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError

Vectors = NDArray[np.float32]
"""float32 (n, d)."""

_LARGEST = 1e15
_PAIRS_AT_ONCE = 2**22
_ROUNDING = 2.0**-24
_faiss: Any = faiss  # whose stubs lack some of its names


@contextmanager
def faiss_threads(threads: int) -> Iterator[None]:
    """Let faiss use ``threads`` threads inside the block, for calls of this thread; 0 leaves one per core."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads or before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


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


def squared_distances(queries: Vectors, vectors: Vectors) -> Vectors:
    """Return squared Euclidean distances, float32 (q, n), of checked queries (q, d) to checked vectors (n, d)."""
    out = np.zeros((len(queries), len(vectors)), np.float32)
    if out.size and queries.shape[1]:
        ours, theirs = np.ascontiguousarray(queries), np.ascontiguousarray(vectors)
        left, right, found = map(faiss.swig_ptr, (ours, theirs, out))
        # The plain metric of faiss subtracts products, which rounds away what tells near vectors apart.
        _faiss.pairwise_extra_distances(
            ours.shape[1], len(ours), left, len(theirs), right, faiss.METRIC_L2, 0.0, found, -1, -1, -1
        )
    return out


def pair_distances(queries: Vectors, vectors: Vectors, rows: NDArray[np.int64], dot: bool = False) -> Vectors:
    """Return raw distances of each query (q, d) to the vectors of its own ``rows`` int64 (q, m), float32 (q, m)."""
    out = np.zeros(rows.shape, np.float32)
    if out.size and queries.shape[1]:
        ours, theirs, which = (np.ascontiguousarray(each) for each in (queries, vectors, rows))
        measure = _faiss.fvec_inner_products_by_idx if dot else _faiss.fvec_L2sqr_by_idx
        measure(*map(faiss.swig_ptr, (out, ours, theirs, which)), ours.shape[1], *rows.shape)
    return -out if dot else out


def nearest(vectors: Vectors, centroids: Vectors, labels: NDArray[np.int32], distances: Vectors) -> None:
    """Write the number of each checked vector's nearest centroid (ties: the lowest) and the squared distance to it."""
    rows, squared = nearest_rows(vectors, centroids, 1)
    labels[:], distances[:] = rows[:, 0], squared[:, 0]


def nearest_rows(queries: Vectors, vectors: Vectors, n: int, dot: bool = False) -> tuple[NDArray[np.int64], Vectors]:
    """Return the rows, int64 (q, n), nearest to each query and their raw distances, float32 (q, n).

    Raw distances are squared, or with ``dot`` negated dot products; ties go to the lowest row. Queries (q, d) and
    vectors (v, d) are checked, and n is at most v.
    """
    if not (n and len(queries)):
        return np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32)
    if not queries.shape[1]:
        return np.tile(np.arange(n), (len(queries), 1)), np.zeros((len(queries), n), np.float32)
    wanted = min(len(vectors), n + n // 4 + 1)
    metric = faiss.METRIC_INNER_PRODUCT if dot else faiss.METRIC_L2
    rough, candidates = faiss.knn(queries, vectors, wanted, metric=metric)
    rows, raw = _first(candidates, pair_distances(queries, vectors, candidates, dot), n)
    if wanted < len(vectors):
        # faiss multiplies matrices. Where its rounding, or a tie, may hide a nearer vector, all pairs are measured.
        lengths = np.linalg.norm(queries, axis=1)
        longest = np.sqrt(np.einsum("nd,nd->n", vectors, vectors).max(initial=0.0))
        reach = lengths + (longest if dot else lengths + np.sqrt(raw[:, -1]))
        slack = 2 * (queries.shape[1] + 4) * _ROUNDING * reach.astype(np.float64) ** 2
        last = -rough[:, -1] if dot else rough[:, -1]
        unsure = np.flatnonzero(last - slack <= raw[:, -1])
        every = np.arange(len(vectors))
        size = max(1, _PAIRS_AT_ONCE // len(vectors))
        for some in (unsure[start : start + size] for start in range(0, len(unsure), size)):
            whole = np.tile(every, (len(some), 1))
            rows[some], raw[some] = _first(whole, pair_distances(queries[some], vectors, whole, dot), n)
    return rows, raw


def _first(rows: NDArray[np.int64], raw: Vectors, n: int) -> tuple[NDArray[np.int64], Vectors]:
    """Return the first ``n`` columns by distance, then row."""
    order = np.lexsort((rows, raw))[:, :n]
    return np.take_along_axis(rows, order, axis=1), np.take_along_axis(raw, order, axis=1)
