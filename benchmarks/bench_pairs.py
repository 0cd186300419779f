"""Pair counting at 40,000 and 1,000,000 photos against blocked matrix products in numpy.

The first rows count TP, FP, FN and TN over all 800 million pairs of 40,000 photos with their true COCO 2017 labels (80
categories) in 80 random clusters, and must give the same four integers. The peer multiplies blocks of 1,000 rows of the
label matrix in float32 with these and all later rows, into buffers that it reuses, and counts. ``sweep`` is a second
clustering of the same photos, where aeret keeps the label sets and the number of relevant pairs from the first. The row
with k-means clusters embeddings of 40,000 photos (see bench_kmeans.py), assigns and counts; its peer is scikit-learn's
k-means and the products, by one start each and another seed in every round. The photos of the last row are true label
sets, drawn again, of which one in five has one label more or less by the frequency of labels; ``MiB`` is the peak of a
process that makes and counts them.
"""

from __future__ import annotations

import itertools
import statistics
import time
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from aeret.clustering.kmeans import fit_kmeans
from aeret.embeddings.distances import Vectors
from aeret.evaluation.pairs import LabelSets, PairCounts, pair_counts, relevant_pairs
from aeret.rng import generator
from benchmarks.bench_kmeans import label_vectors
from benchmarks.measure import Row, compare, peak_memory, report, skipped
from benchmarks.real_labels import folder, labels_of

PHOTOS, MANY, CLUSTERS, BLOCK = 40_000, 1_000_000, 80, 1_000


def numpy_counts(labels: NDArray[np.bool_], assignment: NDArray[np.integer]) -> PairCounts:
    real = labels.astype(np.float32)
    photos = len(labels)
    product = np.empty((BLOCK, photos), np.float32)
    shared, same = np.empty((BLOCK, photos), bool), np.empty((BLOCK, photos), bool)
    tp = relevant = 0
    for start in range(0, photos, BLOCK):
        rows, width = min(BLOCK, photos - start), photos - start
        # Contiguous views: a product into a strided buffer would be copied.
        dots = product.reshape(-1)[: rows * width].reshape(rows, width)
        hits = shared.reshape(-1)[: rows * width].reshape(rows, width)
        joins = same.reshape(-1)[: rows * width].reshape(rows, width)
        np.matmul(real[start : start + rows], real[start:].T, out=dots)
        np.greater(dots, 0, out=hits)
        relevant += _upper(hits, rows)
        np.equal(assignment[start : start + rows, None], assignment[None, start:], out=joins)
        np.logical_and(hits, joins, out=hits)
        tp += _upper(hits, rows)
    sizes = np.bincount(assignment)
    joined = int((sizes * (sizes - 1) // 2).sum())
    total = photos * (photos - 1) // 2
    return PairCounts(tp, joined - tp, relevant - tp, total - joined - (relevant - tp))


def _upper(hits: NDArray[np.bool_], rows: int) -> int:
    """Pairs of a block: the square of its own rows holds each pair twice, and every photo with itself."""
    square = hits[:, :rows]
    own = (int(np.count_nonzero(square)) - int(np.count_nonzero(square.diagonal()))) // 2
    return own + int(np.count_nonzero(hits[:, rows:]))


def many_labels(photos: int = MANY) -> NDArray[np.bool_]:
    """Return label sets that grow in kind like the true ones, bool (photos, 80)."""
    rng = generator(0, "bench many labels")
    known = labels_of("train")[1]
    labels = known[rng.integers(0, len(known), photos)]
    frequency = known.mean(axis=0)
    changed = np.flatnonzero(rng.random(photos) < 0.2)
    labels[changed, rng.choice(len(frequency), len(changed), p=frequency / frequency.sum())] ^= True
    return labels


def random_clusters(photos: int) -> NDArray[np.int32]:
    return generator(0, "bench pairs").integers(0, CLUSTERS, photos).astype(np.int32)


def counted(photos: int, rounds: int) -> list[Row]:
    labels, assignment = labels_of("train")[1][:photos], random_clusters(photos)
    sets = LabelSets.made_of(labels)
    known = relevant_pairs(sets)
    expected = numpy_counts(labels, assignment)
    rows = []
    for threads in (1, 2):
        for what, ours in (
            ("TP, FP, FN, TN", partial(pair_counts, labels, assignment, None, threads)),
            ("sweep: again", partial(pair_counts, sets, assignment, known, threads)),
        ):
            with threadpool_limits(threads):
                timed = compare(ours, lambda: numpy_counts(labels, assignment), rounds)
            rows.append(row(what, photos, threads, timed.ours, timed.peer, timed.ratio, timed.low, ours() == expected))
    return rows


def evaluated(photos: int, rounds: int) -> list[Row]:
    vectors, labels = label_vectors(photos)
    return [_evaluated(vectors, labels, threads, rounds) for threads in (1, 2)]


def _evaluated(vectors: Vectors, labels: NDArray[np.bool_], threads: int, rounds: int) -> Row:
    # How many iterations a fit takes differs by seed: every round has its own, the same for both.
    our_seeds, their_seeds = itertools.count(), itertools.count()
    our_inertias, their_inertias = [], []

    def ours() -> PairCounts:
        found = fit_kmeans(vectors, CLUSTERS, seed=next(our_seeds), starts=1, threads=threads)
        our_inertias.append(found.inertia)
        return pair_counts(labels, found.assignment, threads=threads)

    def theirs() -> PairCounts:
        found = KMeans(CLUSTERS, n_init=1, random_state=next(their_seeds)).fit(vectors)
        their_inertias.append(float(found.inertia_))
        return numpy_counts(labels, found.labels_)

    with threadpool_limits(threads):
        timed = compare(ours, theirs, rounds)
    inertia = statistics.mean(our_inertias) / statistics.mean(their_inertias)
    what = f"k-means, assignment, counts (inertia x {inertia:.4f})"
    return row(what, len(vectors), threads, timed.ours, timed.peer, timed.ratio, timed.low, "")


def counted_many(photos: int) -> list[Row]:
    labels, assignment = many_labels(photos), random_clusters(photos)
    rows = []
    memory = peak_memory(
        "from benchmarks.bench_pairs import many_labels, pair_counts, random_clusters",
        "n = int(arguments[0]); pair_counts(many_labels(n), random_clusters(n))",
        [str(photos)],
    )[1]
    for threads in (1, 2):
        times = []
        for _ in range(3):
            start = time.perf_counter()
            pair_counts(labels, assignment, threads=threads)
            times.append(time.perf_counter() - start)
        one = row("TP, FP, FN, TN", photos, threads, sorted(times)[1], "", "", "", "")
        rows.append(one | {"MiB": round(memory)})
    return rows


def row(
    what: str, photos: int, threads: int, ours: float, theirs: object, ratio: object, low: object, same: object
) -> Row:
    names = ("what", "photos", "threads", "aeret s", "peer s", "ratio", "lowest", "same integers")
    return dict(zip(names, (what, photos, threads, ours, theirs, ratio, low, same), strict=True)) | {"MiB": ""}


def main(photos: int = PHOTOS, many: int = MANY, rounds: int = 3) -> list[Row]:
    if folder() is None:
        return [skipped("pair counting", "no real COCO labels (set AERET_DATA)")]
    return [*counted(photos, rounds), *evaluated(photos, 3 * rounds), *counted_many(many)]


if __name__ == "__main__":
    report(__file__, main())
