"""Exhaustive search: every gallery vector is compared with every query. The reference for all other searches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, nearest_rows
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking

# Candidates of one block, so that its memory is bounded for any n.
_AT_ONCE = 2**20


def search(
    queries: NDArray[np.floating],
    gallery: NDArray[np.floating],
    n: int,
    exclude: NDArray[np.integer] | None = None,
    *,
    batch: int = 1024,
    threads: int = 0,
    progress: Progress = silent,
) -> Ranking:
    """Return the ``n`` gallery vectors nearest to each query by Euclidean distance; ties by row.

    Args:
        queries: float32 (q, d).
        gallery: float32 (g, d).
        n: results per query; all there are where the gallery holds fewer.
        exclude: gallery row left out of each query's results (the query itself), or -1; int64 (q,).
        batch: queries in one block, of which faiss wants many; never changes a result.
        threads: 0 means one per core; never changes a result.
        progress: shows queries done.

    Raises:
        UsageError: shapes do not fit, values are not finite, or ``exclude`` points outside the gallery.
    """
    queries, gallery, exclude, n = checked_search(queries, gallery, exclude, n)
    rows, distances = np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32)
    themselves = int(bool((exclude >= 0).any()))

    def work(start: int, stop: int) -> None:
        found, squared = nearest_rows(queries[start:stop], gallery, n + themselves)
        # Each query loses one result: itself, or the last.
        kept = found != exclude[start:stop, None]
        kept[kept.all(axis=1), n:] = False
        rows[start:stop] = found[kept].reshape(stop - start, n)
        distances[start:stop] = np.sqrt(squared[kept]).reshape(stop - start, n)

    with progress("exhaustive search", len(queries), unit="query") as step:
        for _ in over_blocks(len(queries), max(1, min(batch, _AT_ONCE // (n + 1))), work, threads, step):
            pass
    scanned = len(gallery) - (exclude >= 0).astype(np.int64)
    return Ranking(rows, distances, scanned, np.zeros(len(queries), np.int64))


def checked_search(
    queries: NDArray[np.floating], gallery: NDArray[np.floating], exclude: NDArray[np.integer] | None, n: int
) -> tuple[Vectors, Vectors, NDArray[np.int64], int]:
    """Return the arguments of a search, checked, with ``n`` cut to what every query can have.

    Raises:
        UsageError: see :func:`search`.
    """
    gallery = checked_gallery(gallery)
    queries, rows, n = checked_queries(queries, gallery, exclude, n)
    return queries, gallery, rows, n


def checked_gallery(gallery: NDArray[np.floating]) -> Vectors:
    """Return a gallery, checked: the part of :func:`checked_search` that many searches can share."""
    gallery = checked(gallery, "Gallery embeddings")
    if len(gallery) >= 2**32:
        raise UsageError(f"A gallery holds at most {2**32 - 1} vectors, got {len(gallery)}.")
    return gallery


def checked_queries(
    queries: NDArray[np.floating], gallery: Vectors, exclude: NDArray[np.integer] | None, n: int
) -> tuple[Vectors, NDArray[np.int64], int]:
    """Return queries, excluded rows and ``n`` as :func:`checked_search` does, of a gallery that has been checked."""
    queries = checked(queries, "Query embeddings", gallery.shape[1])
    if n < 1:
        raise UsageError(f"A search must return at least one result, got n={n}.")
    rows = np.full(len(queries), -1, np.int64) if exclude is None else np.asarray(exclude, np.int64)
    if rows.shape != (len(queries),):
        raise UsageError(f"exclude must name one gallery row (or -1) per query, {len(queries)}; got {rows.shape}.")
    if len(rows) and not (rows.min() >= -1 and rows.max() < len(gallery)):
        raise UsageError(f"exclude must lie between -1 and {len(gallery) - 1}, got {rows.min()} to {rows.max()}.")
    return queries, rows, min(n, len(gallery) - int(bool((rows >= 0).any())))
