"""Cluster-first search of 120,000 vectors of 256 dimensions in strict order.

2,000 queries in one batch, then 1,000 one by one, of which p50 and p99 are given. The vectors are a mixture of 300
overlapping Gaussians, scaled to length 1, in clusters around vectors drawn at random; the queries are of the same
mixture and not among the vectors. aeret is a ``ClusterFirst``, made once.

The peers: the loop over queries that one writes in numpy, which takes the members of a cluster, their differences from
the query, and sorts; the same written for speed, with members and norms laid out by cluster beforehand, one matrix
product with a vector a cluster, and a partition before the sort; and ``search_preassigned`` of faiss over inverted
lists of the same clusters, called again for the queries that want more than the clusters before held: the four nearest
clusters of a query are found at once, and all are put in order only for queries that four leave short. All return
distances too. Threads are those of aeret's argument, of faiss, and of numpy's products.

Single queries are timed in turns, 100 of ours and the same 100 of the peer's, and the first of the two changes at every
block. ``lowest`` is the least ratio of a round, and for single queries that of the percentiles of a block, where p99 is
all but the slowest of 100 and so mostly the machine's noise. ``same ids`` and ``same distances`` are the shares of
equal results at equal places, distances to the last bit; ``close distances`` is the share within one part in 10,000.
Few are equal to the last bit, since every program sums in an order of its own; where two results are nearer to each
other than that rounding, they change places, and with them ids.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import faiss
import numpy as np
from faiss.contrib.ivf_tools import add_preassigned, search_preassigned
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aeret.clustering.kmeans import Clustering, assign
from aeret.cores import cores
from aeret.embeddings.distances import Vectors
from aeret.retrieval import cluster_first
from aeret.retrieval.ranking import Ranking
from aeret.rng import generator
from benchmarks.measure import Row, compare, report
from benchmarks.vectors import VECTORS, mixture

BATCH, SINGLE, BLOCK = 2000, 1000, 100
Found = tuple[NDArray[np.int64], Vectors]
"""Rows and distances, each (queries, n)."""
SIZES = ((500, 100), (500, 10), (80, 100))
"""Clusters, and results per query."""


class _Loop:
    """A loop over queries as one writes it in numpy."""

    def __init__(self, gallery: Vectors, clustering: Clustering) -> None:
        self.gallery, self.centroids = gallery, clustering.centroids
        self.offsets, self.rows = clustering.members()

    def search(self, queries: Vectors, n: int) -> Found:
        found, distances = np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32)
        for i, query in enumerate(queries):
            filled = 0
            for c in self.order(query):
                best, far = self.nearest_in(c, query, n - filled)
                found[i, filled : filled + len(best)] = best
                distances[i, filled : filled + len(best)] = far
                filled += len(best)
                if filled == n:
                    break
        return found, np.sqrt(distances)

    def order(self, query: Vectors) -> NDArray[np.int64]:
        return np.asarray(np.argsort(((self.centroids - query) ** 2).sum(axis=1)))

    def nearest_in(self, cluster: int, query: Vectors, wanted: int) -> Found:
        rows = self.rows[self.offsets[cluster] : self.offsets[cluster + 1]]
        far = ((self.gallery[rows] - query) ** 2).sum(axis=1)
        best = np.argsort(far, kind="stable")[:wanted]
        return rows[best], far[best]


class _FastLoop(_Loop):
    """The same loop, prepared and written for speed."""

    def __init__(self, gallery: Vectors, clustering: Clustering) -> None:
        super().__init__(gallery, clustering)
        self.members = gallery[self.rows]
        self.norms = (self.members**2).sum(axis=1)
        self.centroid_norms = (self.centroids**2).sum(axis=1)

    def order(self, query: Vectors) -> NDArray[np.int64]:
        return np.asarray(np.argsort(self.centroid_norms - 2 * (self.centroids @ query)))

    def nearest_in(self, cluster: int, query: Vectors, wanted: int) -> Found:
        some = slice(self.offsets[cluster], self.offsets[cluster + 1])
        far = self.norms[some] - 2 * (self.members[some] @ query)
        best = np.argpartition(far, wanted - 1)[:wanted] if wanted < len(far) else np.arange(len(far))
        best = best[np.argsort(far[best])]
        return self.rows[some][best], np.maximum(far[best] + query @ query, 0)


class _Rounds:
    """One call of ``search_preassigned`` for all queries, and more for those that are short of results."""

    AHEAD = 4
    """Nearest clusters found for every query; all are put in order for those that these leave short."""

    def __init__(self, gallery: Vectors, clustering: Clustering) -> None:
        self.clusters = len(clustering.centroids)
        self.quantizer = faiss.IndexFlatL2(gallery.shape[1])
        self.quantizer.add(clustering.centroids)
        self.index = faiss.IndexIVFFlat(self.quantizer, gallery.shape[1], self.clusters)
        add_preassigned(self.index, gallery, clustering.assignment.astype(np.int64))

    def search(self, queries: Vectors, n: int) -> Found:
        far, order = self.quantizer.search(queries, min(self.AHEAD, self.clusters))
        distances, found = self.nearest_in(queries, n, order[:, :1], far[:, :1])
        filled = (found >= 0).sum(axis=1)
        waiting = np.flatnonzero(filled < n)
        far, order, probe = far[waiting], order[waiting], 1
        while len(waiting) and probe < self.clusters:
            if probe == self.AHEAD:
                far, order = self.quantizer.search(queries[waiting], self.clusters)
            each = slice(probe, probe + 1)
            more_far, more = self.nearest_in(queries[waiting], n, order[:, each], far[:, each])
            for i, some, some_far in zip(waiting, more, more_far, strict=True):
                held = min(int((some >= 0).sum()), n - filled[i])
                found[i, filled[i] : filled[i] + held] = some[:held]
                distances[i, filled[i] : filled[i] + held] = some_far[:held]
                filled[i] += held
            still = filled[waiting] < n
            waiting, order, far = waiting[still], order[still], far[still]
            probe += 1
        return found, np.sqrt(distances)

    def nearest_in(self, queries: Vectors, n: int, lists: NDArray[np.int64], far: Vectors) -> tuple[Vectors, Any]:
        return search_preassigned(self.index, queries, n, np.ascontiguousarray(lists), np.ascontiguousarray(far))


PEERS: dict[str, type[_Loop] | type[_Rounds]] = {
    "numpy, loop": _Loop,
    "numpy, fast loop": _FastLoop,
    "faiss, rounds": _Rounds,
}


@dataclass(frozen=True)
class _Task:
    gallery: Vectors
    queries: Vectors
    clustering: Clustering
    results: int
    threads: int

    def batch(self, peers: Mapping[str, _Loop | _Rounds]) -> list[Row]:
        queries, index = self.queries[:BATCH], cluster_first.ClusterFirst(self.gallery, self.clustering)
        prepared = partial(index.search, queries, self.results, threads=self.threads)
        variants = [("ClusterFirst", prepared, peer) for peer in peers]
        rows = []
        for name, ours, peer in variants:
            theirs = partial(peers[peer].search, queries, self.results)
            times = compare(ours, theirs, rounds=5)
            timing = (times.ours, times.peer, times.ratio, times.low)
            rows.append(self.row(f"{len(queries):,} queries, {name}", peer, timing, ours(), theirs()))
        return rows

    def single(self, peers: Mapping[str, _Loop | _Rounds]) -> list[Row]:
        queries, index = self.queries[:SINGLE], cluster_first.ClusterFirst(self.gallery, self.clustering)
        search = partial(index.search, n=self.results, threads=self.threads)
        rows = []
        for peer, other in peers.items():
            theirs = partial(other.search, n=self.results)
            ours_s, theirs_s = _in_turns(queries, search, theirs)
            for share in (50, 99):
                a, b = np.percentile(ours_s, share), np.percentile(theirs_s, share)
                low = (np.percentile(theirs_s, share, axis=1) / np.percentile(ours_s, share, axis=1)).min()
                rows.append(
                    self.row(f"one query, p{share}", peer, (a, b, b / a, low), search(queries), theirs(queries))
                )
        return rows

    def row(self, what: str, peer: str, timing: tuple[float, ...], ours: Ranking, theirs: Found) -> Row:
        seconds, peer_seconds, ratio, low = map(float, timing)
        rows, distances = theirs
        return {
            "what": f"{what}, N = {self.results}, k = {len(self.clustering.centroids)}",
            "threads": self.threads,
            "peer": peer,
            "aeret ms": 1000 * seconds,
            "peer ms": 1000 * peer_seconds,
            "ratio": ratio,
            "lowest": low,
            "same ids": float((ours.rows == rows).mean()),
            "same distances": float((ours.distances == distances).mean()),
            "close distances": float(np.isclose(ours.distances, distances, rtol=1e-4, atol=0).mean()),
        }


def _in_turns(queries: Vectors, *searches: Callable[[Vectors], object]) -> list[NDArray[np.float64]]:
    """Return the seconds of each query alone, (blocks, queries in a block), for each of the searches."""
    whole = len(queries) // BLOCK * BLOCK
    seconds = [np.empty(whole) for _ in searches]
    turns = list(zip(searches, seconds, strict=True))
    for search in searches:
        search(queries[:1])
    for start in range(0, whole, BLOCK):
        turns.reverse()
        for search, taken in turns:
            for i in range(start, start + BLOCK):
                before = time.perf_counter()
                search(queries[i : i + 1])
                taken[i] = time.perf_counter() - before
    return [taken.reshape(-1, BLOCK) for taken in seconds]


def main(vectors: int = VECTORS) -> list[Row]:
    """Measure; see the top of this file."""
    whole = mixture(vectors + BATCH)
    gallery, queries = whole[:vectors], whole[vectors:]
    rows = []
    try:
        for k, results in SIZES:
            centroids = gallery[generator(0, "bench centroids").choice(len(gallery), k, replace=False)]
            clustering = Clustering(centroids, assign(gallery, centroids), 0.0)
            peers = {name: peer(gallery, clustering) for name, peer in PEERS.items()}
            for threads in dict.fromkeys((1, min(2, cores()))):
                task = _Task(gallery, queries, clustering, results, threads)
                faiss.omp_set_num_threads(threads)
                with threadpool_limits(threads, user_api="blas"):
                    rows += task.batch(peers)
                    if (k, results) == SIZES[0]:
                        rows += task.single(peers)
    finally:
        faiss.omp_set_num_threads(cores())
    return rows


if __name__ == "__main__":
    report(__file__, main())
