"""Exhaustive search: every gallery vector is compared with every query. The reference for all other searches."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, squared_distance
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.topn import FAR, decode, keep_smallest


def search(
    queries: NDArray[np.floating],
    gallery: NDArray[np.floating],
    n: int,
    exclude: NDArray[np.integer] | None = None,
    *,
    batch: int = 64,
    threads: int = 0,
    progress: Progress = silent,
) -> Ranking:
    """Return the ``n`` gallery vectors nearest to each query by Euclidean distance; ties by row.

    Args:
        queries: float32 (q, d).
        gallery: float32 (g, d).
        n: results per query; all there are where the gallery holds fewer.
        exclude: gallery row left out of each query's results (the query itself), or -1; int64 (q,).
        batch: queries in one block; never changes a result.
        threads: 0 means one per core; never changes a result.
        progress: shows queries done.

    Raises:
        UsageError: shapes do not fit, values are not finite, or ``exclude`` points outside the gallery.
    """
    queries, gallery, exclude, n = checked_search(queries, gallery, exclude, n)
    keys = np.full((len(queries), n), FAR, np.uint64)

    def work(start: int, stop: int) -> None:
        _search(queries[start:stop], gallery, exclude[start:stop], keys[start:stop])

    with progress("exhaustive search", len(queries), unit="query") as step:
        for _ in over_blocks(len(queries), batch, work, threads, step):
            pass
    keys.sort(axis=1)
    rows, distances = decode(keys)
    scanned = len(gallery) - (exclude >= 0).astype(np.int64)
    return Ranking(rows, distances, scanned, np.zeros(len(queries), np.int64))


def checked_search(
    queries: NDArray[np.floating], gallery: NDArray[np.floating], exclude: NDArray[np.integer] | None, n: int
) -> tuple[Vectors, Vectors, NDArray[np.int64], int]:
    """Return the arguments of a search, checked, with ``n`` cut to what every query can have.

    Raises:
        UsageError: see :func:`search`.
    """
    gallery = checked(gallery, "Gallery embeddings")
    queries = checked(queries, "Query embeddings", gallery.shape[1])
    if n < 1:
        raise UsageError(f"A search must return at least one result, got n={n}.")
    if len(gallery) >= 2**32:
        raise UsageError(f"A gallery holds at most {2**32 - 1} vectors, got {len(gallery)}.")
    rows = np.full(len(queries), -1, np.int64) if exclude is None else np.asarray(exclude, np.int64)
    if rows.shape != (len(queries),):
        raise UsageError(f"exclude must name one gallery row (or -1) per query, {len(queries)}; got {rows.shape}.")
    if len(rows) and not (rows.min() >= -1 and rows.max() < len(gallery)):
        raise UsageError(f"exclude must lie between -1 and {len(gallery) - 1}, got {rows.min()} to {rows.max()}.")
    return queries, gallery, rows, min(n, len(gallery) - int(bool((rows >= 0).any())))


@numba.njit(nogil=True, cache=True)
def _search(queries, gallery, exclude, keys):  # type: ignore[no-untyped-def]
    # A tile of the gallery stays in the second-level cache while all queries of the block pass over it.
    tile = max(16, 65536 // max(1, queries.shape[1]))
    distances = np.empty(tile, np.float32)
    bits = distances.view(np.uint32)
    for first in range(0, gallery.shape[0], tile):
        last = min(gallery.shape[0], first + tile)
        for i in range(queries.shape[0]):
            heap = keys[i]
            for j in range(first, last):
                distances[j - first] = squared_distance(queries[i], gallery[j])
            for j in range(first, last):
                key = (np.uint64(bits[j - first]) << np.uint64(32)) | np.uint64(j)
                if heap.shape[0] and key < heap[0] and j != exclude[i]:
                    keep_smallest(heap, key)
