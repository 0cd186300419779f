"""Exhaustive search over 120,000 vectors of 256 dimensions.

The vectors are a mixture of 300 overlapping Gaussians, scaled to length 1; the queries are of the same mixture and
not among them. ``exhaustive`` has two peers: a matrix product, partition and sort in numpy by blocks of queries; and
faiss itself, of which aeret asks a few more candidates to score and sort them in a fixed order, so that the ratio is
the price of that. The last row justifies a kernel of our own: distances whose last bit does not depend on the batch,
against those of faiss that sum in a fixed order too. ``agreement`` is the share of equal results, in the last row of
close distances: products of another shape exchange near ties.
"""

from __future__ import annotations

from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.cores import cores
from aeret.embeddings.distances import Vectors, squared_distances
from aeret.retrieval import exhaustive
from benchmarks.measure import Row, compare, report
from benchmarks.vectors import VECTORS, mixture

RESULTS, QUERIES, ROUNDS = 100, 1024, 5


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
    times = compare(ours, theirs, rounds=ROUNDS)
    return row(what, peer, times.ours, times.peer, times.ratio, times.low, agreement)


def row(what: str, peer: str, ours: float, theirs: float, ratio: float, low: float, agreement: float) -> Row:
    names = ("what", "peer", "aeret s", "peer s", "ratio", "lowest", "agreement")
    return dict(zip(names, (what, peer, ours, theirs, ratio, low, agreement), strict=True))


def searches(queries: Vectors, gallery: Vectors) -> list[Row]:
    name = f"exhaustive, {len(queries):,} queries, top {RESULTS}"

    def ours() -> NDArray[np.int64]:
        return exhaustive.search(queries, gallery, RESULTS, batch=512).rows

    rows = []
    for peer, theirs in (
        ("numpy", lambda: numpy_search(queries, gallery)),
        ("faiss.knn", lambda: faiss.knn(queries, gallery, RESULTS)[1]),
    ):
        rows.append(timed(name, peer, ours, theirs, float((ours() == theirs()).mean())))
    return rows


def kernels(queries: Vectors, gallery: Vectors) -> list[Row]:
    every = np.tile(np.arange(len(gallery)), (len(queries), 1))
    out = np.empty(every.shape, np.float32)

    def by_faiss() -> Vectors:
        pointers = (faiss.swig_ptr(array) for array in (out, queries, gallery, every))
        faiss.fvec_L2sqr_by_idx(*pointers, gallery.shape[1], len(queries), len(gallery))
        return out

    faiss.omp_set_num_threads(1)
    try:
        same = float(np.isclose(by_faiss(), squared_distances(queries, gallery), rtol=1e-4, atol=1e-6).mean())
        name = f"distances in a fixed order, {len(queries)} queries, 1 thread"
        return [timed(name, "faiss", lambda: squared_distances(queries, gallery), by_faiss, same)]
    finally:
        faiss.omp_set_num_threads(cores())


def main(vectors: int = VECTORS) -> list[Row]:
    whole = mixture(vectors + QUERIES)
    gallery, queries = whole[:vectors], whole[vectors:]
    return searches(queries, gallery) + kernels(queries[:64], gallery)


if __name__ == "__main__":
    report(__file__, main())
