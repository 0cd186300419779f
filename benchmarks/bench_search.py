"""Exhaustive search over 120,000 vectors of 256 dimensions.

The vectors are a mixture of 300 overlapping Gaussians, scaled to length 1. ``exhaustive`` has two peers: a matrix
product, partition and sort in numpy by blocks of queries; and faiss itself, of which aeret asks a few more candidates
to score and sort them in a fixed order, so that the ratio is the price of that. The last row justifies a kernel of
our own: distances whose last bit does not depend on the batch, against those of faiss that sum in a fixed order too.
``agreement`` is the share of equal results: products of another shape exchange near ties.
"""

from __future__ import annotations

from collections.abc import Callable

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import cores
from aeret.embeddings.distances import Vectors, squared_distances
from aeret.retrieval import exhaustive
from benchmarks.measure import Row, compare, report
from benchmarks.vectors import VECTORS, mixture

RESULTS = 100


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


def kernels(gallery: Vectors) -> list[Row]:
    queries = gallery[:64]
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
    return [fixed]


def main(vectors: int = VECTORS) -> list[Row]:
    gallery = mixture(vectors)
    return searches(gallery) + kernels(gallery)


if __name__ == "__main__":
    report(__file__, main())
