"""k-means, 120,000 vectors of 256 dimensions, against scikit-learn's to convergence.

The vectors are true COCO 2017 label sets, projected at random, with noise as large as one label, scaled to length 1.
Both seed by their own k-means++ and stop by their own rule: scikit-learn's defaults (``tol=1e-4``, 300 iterations) are
its Lloyd's iterations to convergence; aeret's is in docs/decisions/0006-k-means.md. scikit-learn makes one start, aeret
its default of 3. Of ``seeds`` of aeret's the time is the median, ``inertia`` the median of aeret's over scikit-learn's
(of its seed 0), and ``worst`` the largest. ``threads`` hold for all pools of both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from aeret.clustering.kmeans import fit_kmeans
from aeret.embeddings.distances import Vectors
from aeret.embeddings.normalise import l2_normalise
from aeret.rng import generator
from benchmarks.measure import Row, report, skipped
from benchmarks.real_labels import folder, labels_of
from benchmarks.vectors import VECTORS, WIDTH

CLUSTERS = (80, 500, 1000)
FEW, SEEDS_OF_FEW, SEEDS = 100, 7, 2
"""up to so many clusters more seeds are tried"""


def label_vectors(count: int = VECTORS, width: int = WIDTH) -> tuple[Vectors, NDArray[np.bool_]]:
    """Return vectors float32 (count, width) and the label sets they are of, bool (count, 80)."""
    rng = generator(0, "bench k-means")
    labels = labels_of("train")[1]
    labels = labels[rng.integers(0, len(labels), count)]
    axes = rng.standard_normal((labels.shape[1], width), dtype=np.float32)
    vectors = labels.astype(np.float32) @ axes + rng.standard_normal((count, width), dtype=np.float32)
    return l2_normalise(vectors), labels


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def clusterings(vectors: Vectors, clusters: tuple[int, ...]) -> list[Row]:
    rows: list[Row] = []
    for k in clusters:
        for threads in (1, 2):
            with threadpool_limits(threads):
                peer = KMeans(k, n_init=1, random_state=0)
                theirs = timed(lambda peer=peer: peer.fit(vectors))  # type: ignore[misc]
                found, seconds = [], []
                seeds = SEEDS_OF_FEW if k <= FEW else SEEDS
                for seed in range(seeds):
                    start = time.perf_counter()
                    fitted = fit_kmeans(vectors, k, seed, threads=threads)
                    seconds.append(time.perf_counter() - start)
                    found.append(fitted.inertia / peer.inertia_)
                ours = statistics.median(seconds)
                names = ("what", "threads", "seeds", "aeret s", "peer s", "ratio", "inertia", "worst")
                inertia, worst = f"{statistics.median(found):.4f}", f"{max(found):.4f}"
                values = (f"k = {k}", threads, seeds, ours, theirs, theirs / ours, inertia, worst)
                rows.append(dict(zip(names, values, strict=True)))
    return rows


def main(vectors: int = VECTORS, clusters: tuple[int, ...] = CLUSTERS) -> list[Row]:
    if folder() is None:
        return [skipped("k-means", "no real COCO labels (set AERET_DATA)")]
    points, _ = label_vectors(vectors)
    fit_kmeans(points[:20_000], 20, seed=0, starts=1)  # compiles
    return clusterings(points, clusters)


if __name__ == "__main__":
    report(__file__, main())
