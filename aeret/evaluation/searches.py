"""Run the searches that every evaluation measures: exhaustive, and cluster-first in both orders."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.distances import Vectors
from aeret.progress import Progress, silent
from aeret.retrieval import cluster_first, exhaustive
from aeret.retrieval.ranking import Ranking

EXHAUSTIVE, SEQUENTIAL = "exhaustive", "cluster-first sequential"


def search_all(
    queries: Vectors,
    gallery: Vectors,
    clustering: Clustering,
    exclude: NDArray[np.int64],
    n: int,
    lead: str,
    threads: int = 0,
    progress: Progress = silent,
) -> tuple[dict[str, Ranking], dict[str, float]]:
    """Return the ranking of each search by name, the one named ``lead`` first, and the seconds it took.

    Args:
        queries: checked, float32 (q, d).
        gallery: checked, float32 (g, d).
        clustering: of the gallery.
        exclude: gallery row left out of each query's results, or -1; int64 (q,).
        n: results per query.
        lead: name of the search that comes first.
        threads: 0 means one per core.
        progress: shows queries done.
    """
    prepared = cluster_first.ClusterFirst(gallery, clustering)

    options: dict[str, Any] = {"threads": threads, "progress": progress}
    searches: dict[str, Callable[..., Ranking]] = {
        f"cluster-first {order}": partial(prepared.search, n=n, order=order, **options)
        for order in cluster_first.ORDERS
    }
    searches[EXHAUSTIVE] = partial(exhaustive.search, gallery=gallery, n=n, **options)
    rankings, seconds = {}, {}
    for name in sorted(searches, key=lambda name: name != lead):
        # The first call of a kernel loads or compiles it, which is no part of a search.
        searches[name](queries[:1], exclude=exclude[:1])
        start = time.perf_counter()
        rankings[name] = searches[name](queries, exclude=exclude)
        seconds[name] = time.perf_counter() - start
    return rankings, seconds
