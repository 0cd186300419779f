"""Compare every query with every gallery vector: the reference for all other searches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, checked, faiss_threads, nearest_rows
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking

_QUERIES_AT_ONCE, _RESULTS_AT_ONCE = 1024, 2**20


def search(
    queries: NDArray[np.floating],
    gallery: NDArray[np.floating],
    n: int,
    exclude: NDArray[np.integer] | None = None,
    *,
    threads: int = 0,
    progress: Progress = silent,
) -> Ranking:
    """Return the ``n`` gallery vectors nearest to each query by Euclidean distance; ties by row.

    Args:
        queries: float32 (q, d).
        gallery: float32 (g, d).
        n: results per query; fewer if the gallery holds fewer.
        exclude: gallery row left out of each query's results (the query itself), or -1; int64 (q,).
        threads: 0 means one per core.
        progress: shows queries done.

    Raises:
        UsageError: shapes do not fit, values are not finite, or ``exclude`` points outside the gallery.
    """
    gallery = checked_gallery(gallery)
    queries, exclude, n = checked_queries(queries, gallery, exclude, n)
    rows, distances = np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32)
    size = max(1, min(_QUERIES_AT_ONCE, _RESULTS_AT_ONCE // (n + 1)))
    with progress("exhaustive search", len(queries), unit="query") as step, faiss_threads(threads):
        for start in range(0, len(queries), size):
            part = slice(start, start + size)
            rows[part], squared = nearest_but(queries[part], gallery, n, exclude[part])
            distances[part] = np.sqrt(squared)
            step(len(squared))
    scanned = len(gallery) - (exclude >= 0).astype(np.int64)
    return Ranking(rows, distances, scanned, np.zeros(len(queries), np.int64))


def nearest_but(
    queries: Vectors, vectors: Vectors, n: int, exclude: NDArray[np.int64], dot: bool = False
) -> tuple[NDArray[np.int64], Vectors]:
    """Return the nearest rows and raw distances (:func:`nearest_rows`) without the row that each query leaves out."""
    found, raw = nearest_rows(queries, vectors, n + int(bool((exclude >= 0).any())), dot)
    # Each query loses one result: the row left out, or the last.
    kept = found != exclude[:, None]
    kept[kept.all(axis=1), n:] = False
    return found[kept].reshape(len(queries), n), raw[kept].reshape(len(queries), n)


def checked_gallery(gallery: NDArray[np.floating]) -> Vectors:
    """Return a checked gallery, float32 (g, d)."""
    gallery = checked(gallery, "Gallery embeddings")
    if len(gallery) >= 2**32:
        raise UsageError(f"A gallery holds at most {2**32 - 1} vectors, got {len(gallery)}.")
    return gallery


def checked_queries(
    queries: NDArray[np.floating], gallery: Vectors, exclude: NDArray[np.integer] | None, n: int
) -> tuple[Vectors, NDArray[np.int64], int]:
    """Return checked queries, the excluded row of each or -1, and ``n`` cut to what every query can have."""
    queries = checked(queries, "Query embeddings", gallery.shape[1])
    if n < 1:
        raise UsageError(f"A search must return at least one result, got n={n}.")
    rows = np.full(len(queries), -1, np.int64) if exclude is None else np.asarray(exclude, np.int64)
    if rows.shape != (len(queries),):
        raise UsageError(f"exclude must name one gallery row (or -1) per query, {len(queries)}; got {rows.shape}.")
    if len(rows) and not (rows.min() >= -1 and rows.max() < len(gallery)):
        raise UsageError(f"exclude must lie between -1 and {len(gallery) - 1}, got {rows.min()} to {rows.max()}.")
    return queries, rows, min(n, len(gallery) - int(bool((rows >= 0).any())))
