"""Cluster-first top-N search (the paper's): nearest cluster first, then the next, until N results are found.

The rule has two readings. ``sequential`` is the literal one: all of the nearest cluster's results, ranked inside it,
then the next cluster's. ``pooled`` visits clusters until at least N vectors are found and then ranks them together.
They are the same when the nearest cluster holds N or more.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import checked, decode, nearest, sort_keys, squared_distance
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.retrieval.exhaustive import checked_search
from aeret.retrieval.ranking import Ranking

ORDERS: dict[str, bool] = {"sequential": False, "pooled": True}
"""Reading of the rule to whether the clusters visited are ranked together."""


def search(
    queries: NDArray[np.floating],
    gallery: NDArray[np.floating],
    clustering: Clustering,
    n: int,
    order: str = "sequential",
    exclude: NDArray[np.integer] | None = None,
    *,
    batch: int = 256,
    threads: int = 0,
    progress: Progress = silent,
) -> Ranking:
    """Return ``n`` gallery vectors for each query, nearest cluster first; ties by row, equal clusters by number.

    Args:
        queries: float32 (q, d).
        gallery: float32 (g, d).
        clustering: of the gallery.
        n: results per query; all there are where the gallery holds fewer.
        order: ``sequential`` or ``pooled``.
        exclude: gallery row left out of each query's results (the query itself), or -1; int64 (q,).
        batch: queries in one block; never changes a result.
        threads: 0 means one per core; never changes a result.
        progress: shows queries done.

    Raises:
        UsageError: shapes do not fit, values are not finite, or ``exclude`` points outside the gallery.
    """
    queries, gallery, exclude, n = checked_search(queries, gallery, exclude, n)
    pooled = lookup(ORDERS, order, "cluster-first order")
    centroids = checked(clustering.centroids, "Centroids", gallery.shape[1])
    if len(clustering.assignment) != len(gallery):
        raise UsageError(
            f"A clustering of {len(clustering.assignment)} vectors does not fit a gallery of {len(gallery)}."
        )
    offsets, members = clustering.members()
    keys = np.empty((len(queries), n), np.uint64)
    scanned, probes = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.int64)
    # Queries of one cluster go together: they read the same members, which then stay in the cache.
    closest = np.empty(len(queries), np.int32)
    nearest(queries, centroids, closest, np.empty(len(queries), np.float32))
    sequence = np.argsort(closest, kind="stable")

    def work(start: int, stop: int) -> None:
        which = sequence[start:stop]
        _search(queries, which, gallery, centroids, offsets, members, exclude, pooled, keys, scanned, probes)

    with progress(f"cluster-first search, {order}", len(queries), unit="query") as step:
        for _ in over_blocks(len(queries), batch, work, threads, step):
            pass
    rows, squared = decode(keys)
    return Ranking(rows, np.sqrt(squared), scanned, probes)


@numba.njit(nogil=True, cache=True)
def _search(queries, which, gallery, centroids, offsets, members, exclude, pooled, keys, scanned, probes):  # type: ignore[no-untyped-def]
    clusters, results = centroids.shape[0], keys.shape[1]
    far = np.empty(clusters, np.float32)
    pool = np.empty(gallery.shape[0], np.uint64)
    for i in which:
        for c in range(clusters):
            empty = offsets[c] == offsets[c + 1]
            far[c] = np.float32(np.inf) if empty else squared_distance(queries[i], centroids[c])
        found = 0
        while found < results:
            c = int(np.argmin(far))
            far[c] = np.float32(np.inf)
            probes[i] += 1
            rows = members[offsets[c] : offsets[c + 1]]
            rows = rows[rows != exclude[i]]
            sort_keys(queries[i], gallery, rows, pool[found : found + rows.shape[0]])
            if not pooled:
                pool[found : found + rows.shape[0]].sort()
            found += rows.shape[0]
        if pooled:
            pool[:found].sort()
        keys[i] = pool[:results]
        scanned[i] = found
