"""Cluster-first search of 120,000 vectors of 256 dimensions in strict order.

2,000 queries in one batch, then 1,000 one by one, of which p50 and p99 are given. The vectors are a mixture of 300
overlapping Gaussians, scaled to length 1, in clusters around vectors drawn at random. aeret is a ``ClusterFirst``, made
once; one row is the function ``search``, which checks the gallery at every call and reads members where they lie.

The peers: the loop over queries that one writes in numpy, which takes the members of a cluster, their differences from
the query, and sorts; the same written for speed, with members and norms laid out by cluster beforehand, one matrix
product with a vector a cluster, and a partition before the sort; and ``search_preassigned`` of faiss over inverted
lists of the same clusters, called again for the queries that want more than the clusters before held. ``agreement`` is
the share of equal results at equal places: sums in another order may exchange near ties. Threads are those of aeret's
argument, of faiss, and of numpy's products.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
from faiss.contrib.ivf_tools import add_preassigned, search_preassigned
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from aeret.clustering.kmeans import Clustering, assign
from aeret.embeddings.blocks import cores
from aeret.embeddings.distances import Vectors
from aeret.retrieval import cluster_first
from aeret.rng import generator
from benchmarks.measure import Row, compare, report
from benchmarks.vectors import VECTORS, mixture

BATCH, SINGLE = 2000, 1000
SIZES = ((500, 100), (500, 10), (80, 100))
"""Clusters, and results per query."""


class _Loop:
    """A loop over queries as one writes it in numpy."""

    def __init__(self, gallery: Vectors, clustering: Clustering) -> None:
        self.gallery, self.centroids = gallery, clustering.centroids
        self.offsets, self.rows = clustering.members()

    def search(self, queries: Vectors, n: int) -> NDArray[np.int64]:
        found = np.empty((len(queries), n), np.int64)
        for i, query in enumerate(queries):
            filled = 0
            for c in self.order(query):
                best = self.nearest_in(c, query, n - filled)
                found[i, filled : filled + len(best)] = best
                filled += len(best)
                if filled == n:
                    break
        return found

    def order(self, query: Vectors) -> NDArray[np.int64]:
        return np.asarray(np.argsort(((self.centroids - query) ** 2).sum(axis=1)))

    def nearest_in(self, cluster: int, query: Vectors, wanted: int) -> NDArray[np.int64]:
        rows = self.rows[self.offsets[cluster] : self.offsets[cluster + 1]]
        return rows[np.argsort(((self.gallery[rows] - query) ** 2).sum(axis=1), kind="stable")[:wanted]]


class _FastLoop(_Loop):
    """The same loop, prepared and written for speed."""

    def __init__(self, gallery: Vectors, clustering: Clustering) -> None:
        super().__init__(gallery, clustering)
        self.members = gallery[self.rows]
        self.norms = (self.members**2).sum(axis=1)
        self.centroid_norms = (self.centroids**2).sum(axis=1)

    def order(self, query: Vectors) -> NDArray[np.int64]:
        return np.asarray(np.argsort(self.centroid_norms - 2 * (self.centroids @ query)))

    def nearest_in(self, cluster: int, query: Vectors, wanted: int) -> NDArray[np.int64]:
        some = slice(self.offsets[cluster], self.offsets[cluster + 1])
        far = self.norms[some] - 2 * (self.members[some] @ query)
        best = np.argpartition(far, wanted - 1)[:wanted] if wanted < len(far) else np.arange(len(far))
        return self.rows[some][best[np.argsort(far[best])]]


class _Rounds:
    """One call of ``search_preassigned`` for all queries, and more for those that are short of results."""

    def __init__(self, gallery: Vectors, clustering: Clustering) -> None:
        self.centroids = clustering.centroids
        self.quantizer = faiss.IndexFlatL2(gallery.shape[1])
        self.quantizer.add(self.centroids)
        self.index = faiss.IndexIVFFlat(self.quantizer, gallery.shape[1], len(self.centroids))
        add_preassigned(self.index, gallery, clustering.assignment.astype(np.int64))

    def search(self, queries: Vectors, n: int) -> NDArray[np.int64]:
        far, order = self.quantizer.search(queries, 1)
        found = self.nearest_in(queries, n, order, far)
        filled = (found >= 0).sum(axis=1)
        waiting = np.flatnonzero(filled < n)
        if len(waiting):
            far, order = self.quantizer.search(queries[waiting], len(self.centroids))
        probe = 1
        while len(waiting):
            more = self.nearest_in(queries[waiting], n, order[:, probe : probe + 1], far[:, probe : probe + 1])
            for i, some in zip(waiting, more, strict=True):
                some = some[some >= 0][: n - filled[i]]
                found[i, filled[i] : filled[i] + len(some)] = some
                filled[i] += len(some)
            still = filled[waiting] < n
            waiting, order, far = waiting[still], order[still], far[still]
            probe += 1
        return found

    def nearest_in(self, queries: Vectors, n: int, lists: NDArray[np.int64], far: Vectors) -> NDArray[np.int64]:
        _, rows = search_preassigned(self.index, queries, n, np.ascontiguousarray(lists), np.ascontiguousarray(far))
        return np.asarray(rows)


PEERS: dict[str, type[_Loop] | type[_Rounds]] = {
    "numpy, loop": _Loop,
    "numpy, fast loop": _FastLoop,
    "faiss, rounds": _Rounds,
}


@dataclass(frozen=True)
class _Task:
    gallery: Vectors
    clustering: Clustering
    results: int
    threads: int

    def batch(self, peers: Mapping[str, _Loop | _Rounds]) -> list[Row]:
        queries, index = self.gallery[:BATCH], cluster_first.ClusterFirst(self.gallery, self.clustering)
        prepared = partial(index.search, queries, self.results, threads=self.threads)
        function = partial(
            cluster_first.search, queries, self.gallery, self.clustering, self.results, threads=self.threads
        )
        variants = [("ClusterFirst", prepared, peer) for peer in peers]
        if self.is_first:
            variants.append(("search()", function, "numpy, loop"))
        rows = []
        for name, ours, peer in variants:
            theirs = partial(peers[peer].search, queries, self.results)
            times = compare(ours, theirs, rounds=5)
            agreement = float((ours().rows == theirs()).mean())
            timing = (times.ours, times.peer, times.ratio, times.low)
            rows.append(self.row(f"{BATCH:,} queries, {name}", peer, *timing, agreement))
        return rows

    def single(self, peers: Mapping[str, _Loop | _Rounds]) -> list[Row]:
        queries, index = self.gallery[:SINGLE], cluster_first.ClusterFirst(self.gallery, self.clustering)
        ours = _one_by_one(queries, partial(index.search, n=self.results, threads=self.threads))
        rows = []
        for peer, other in peers.items():
            theirs = _one_by_one(queries, partial(other.search, n=self.results))
            agreement = float((index.search(queries, self.results).rows == other.search(queries, self.results)).mean())
            for share in (50, 99):
                a, b = np.percentile(ours, share), np.percentile(theirs, share)
                rows.append(self.row(f"one query, p{share}", peer, a, b, b / a, b / a, agreement))
        return rows

    @property
    def is_first(self) -> bool:
        return (len(self.clustering.centroids), self.results) == SIZES[0]

    def row(self, what: str, peer: str, ours: float, theirs: float, ratio: float, low: float, agreement: float) -> Row:
        return {
            "what": f"{what}, N = {self.results}, k = {len(self.clustering.centroids)}",
            "threads": self.threads,
            "peer": peer,
            "aeret ms": 1000 * float(ours),
            "peer ms": 1000 * float(theirs),
            "ratio": float(ratio),
            "lowest": float(low),
            "agreement": agreement,
        }


def _one_by_one(queries: Vectors, search: Callable[[Vectors], object]) -> list[float]:
    """Return the seconds of each query alone."""
    search(queries[:1])
    seconds = []
    for i in range(len(queries)):
        start = time.perf_counter()
        search(queries[i : i + 1])
        seconds.append(time.perf_counter() - start)
    return seconds


def main(vectors: int = VECTORS) -> list[Row]:
    """Measure; see the top of this file."""
    gallery = mixture(vectors)
    rows = []
    for k, results in SIZES:
        centroids = gallery[generator(0, "bench centroids").choice(len(gallery), k, replace=False)]
        clustering = Clustering(centroids, assign(gallery, centroids), 0.0)
        peers = {name: peer(gallery, clustering) for name, peer in PEERS.items()}
        for threads in dict.fromkeys((1, min(2, cores()))):
            task = _Task(gallery, clustering, results, threads)
            faiss.omp_set_num_threads(threads)
            with threadpool_limits(threads, user_api="blas"):
                rows += task.batch(peers)
                if task.is_first:
                    rows += task.single(peers)
    faiss.omp_set_num_threads(cores())
    return rows


if __name__ == "__main__":
    report(__file__, main())
