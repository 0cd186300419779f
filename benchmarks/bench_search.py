"""Exhaustive search and k-means over 120,000 vectors of 256 dimensions.

The vectors are a mixture of 300 overlapping Gaussians, scaled to length 1. ``exhaustive`` has two peers: a matrix
product, partition and sort in numpy by blocks of queries; and faiss itself, of which aeret asks a few more candidates
to score and sort them in a fixed order, so that the ratio is the price of that. k-means makes one start of at most
10 iterations; its peer is scikit-learn's with k-means++, to the same limit; ``agreement`` is aeret's inertia over
its own. The last two rows justify kernels of our own: distances whose last bit does not depend on the batch, against
those of faiss that sum in a fixed order too; and sums of the members of clusters, against a sparse product.
``agreement`` is the share of equal results where it is no inertia: products of another shape exchange near ties.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.cluster import KMeans

from aeret.clustering import kmeans
from aeret.clustering.kmeans import fit_kmeans
from aeret.embeddings.blocks import cores
from aeret.embeddings.distances import Vectors, squared_distances
from aeret.retrieval import exhaustive
from aeret.rng import generator
from benchmarks.measure import Row, compare, report
from benchmarks.vectors import VECTORS, mixture

RESULTS, ITERATIONS = 100, 10
CLUSTERS = (80, 500)


def numpy_search(queries: Vectors, gallery: Vectors, block: int = 128) -> NDArray[np.int64]:
    norms = (gallery**2).sum(axis=1)
    found = []
    for start in range(0, len(queries), block):
        squared = norms - 2 * queries[start : start + block] @ gallery.T
        rows = np.argpartition(squared, RESULTS, axis=1)[:, :RESULTS]
        order = np.argsort(np.take_along_axis(squared, rows, axis=1), axis=1)
        found.append(np.take_along_axis(rows, order, axis=1))
    return np.concatenate(found)


def timed(what: str, peer: str, ours: Callable[[], object], theirs: Callable[[], object], agreement: float) -> Row:
    times = compare(ours, theirs, rounds=2)
    return row(what, peer, times.ours, times.peer, times.ratio, times.low, agreement)


def row(what: str, peer: str, ours: float, theirs: float, ratio: float, low: float, agreement: float) -> Row:
    names = ("what", "peer", "aeret s", "peer s", "ratio", "lowest", "agreement")
    return dict(zip(names, (what, peer, ours, theirs, ratio, low, agreement), strict=True))


def searches(gallery: Vectors) -> list[Row]:
    queries, name = gallery[:1024], f"exhaustive, 1,024 queries, top {RESULTS}"

    def ours() -> NDArray[np.int64]:
        return exhaustive.search(queries, gallery, RESULTS, batch=512).rows

    rows = []
    for peer, theirs in (
        ("numpy", lambda: numpy_search(queries, gallery)),
        ("faiss.knn", lambda: faiss.knn(queries, gallery, RESULTS)[1]),
    ):
        rows.append(timed(name, peer, ours, theirs, float((ours() == theirs()).mean())))
    return rows


def clusterings(gallery: Vectors) -> list[Row]:
    rows = []
    fit_kmeans(gallery[:1000], 2, seed=0, starts=1)  # compiles
    for k in CLUSTERS:
        start = time.perf_counter()
        inertia = fit_kmeans(gallery, k, seed=0, starts=1, iterations=ITERATIONS).inertia
        middle = time.perf_counter()
        peer = KMeans(k, n_init=1, max_iter=ITERATIONS, tol=0, random_state=0).fit(gallery).inertia_
        ours, theirs = middle - start, time.perf_counter() - middle
        ratio = theirs / ours
        rows.append(row(f"k-means, k = {k}", "scikit-learn", ours, theirs, ratio, ratio, inertia / peer))
    return rows


def kernels(gallery: Vectors) -> list[Row]:
    queries, k = gallery[:64], CLUSTERS[-1]
    every = np.tile(np.arange(len(gallery)), (len(queries), 1))
    out = np.empty(every.shape, np.float32)

    def by_faiss() -> Vectors:
        pointers = (faiss.swig_ptr(array) for array in (out, queries, gallery, every))
        faiss.fvec_L2sqr_by_idx(*pointers, gallery.shape[1], len(queries), len(gallery))
        return out

    faiss.omp_set_num_threads(1)
    same = float(np.isclose(by_faiss(), squared_distances(queries, gallery), rtol=1e-4, atol=1e-6).mean())
    fixed = timed(
        "distances in a fixed order, 64 queries, 1 thread",
        "faiss",
        lambda: squared_distances(queries, gallery),
        by_faiss,
        same,
    )
    faiss.omp_set_num_threads(cores())
    labels, rows = generator(0, "bench labels").integers(0, k, len(gallery)).astype(np.int32), np.arange(len(gallery))
    zeros, centroids = np.zeros(len(gallery), np.float32), np.zeros((k, gallery.shape[1]), np.float32)

    def by_scipy() -> Vectors:
        joined = csr_array((np.ones(len(rows)), (labels, rows)), shape=(k, len(rows)))
        return (joined @ gallery / np.bincount(labels)[:, None]).astype(np.float32)

    same = float(np.isclose(by_scipy(), kmeans._update(gallery, labels, zeros, centroids), atol=1e-6).mean())
    sums = timed(
        f"means of members, k = {k}",
        "scipy.sparse",
        lambda: kmeans._update(gallery, labels, zeros, centroids),
        by_scipy,
        same,
    )
    return [fixed, sums]


def main(vectors: int = VECTORS) -> list[Row]:
    gallery = mixture(vectors)
    return searches(gallery) + clusterings(gallery) + kernels(gallery)


if __name__ == "__main__":
    report(__file__, main())
