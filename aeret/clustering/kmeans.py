"""k-means: seeded greedy k-means++, several starts, Lloyd's iterations to convergence, and its quality report.

The result is the same for any number of threads: distances are summed in a fixed order, ties go to the lowest
centroid, and sums of members are float64 in row order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import kmeans_plusplus
from threadpoolctl import threadpool_limits

from aeret.artifacts import write_json
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, nearest
from aeret.errors import DataError, UsageError
from aeret.progress import Progress, silent
from aeret.rng import generator

_BLOCK = 4096
# k-means++ looks at this many vectors per centroid, and at no fewer than the second number: more do not lower inertia.
_SEEDING_PER_CENTROID, _SEEDING_LEAST = 50, 10_000


@dataclass(frozen=True)
class Clustering:
    """Clusters of ``n`` vectors around ``k`` centroids."""

    centroids: NDArray[np.float32]
    """float32 (k, d)."""
    assignment: NDArray[np.int32]
    """Cluster of each vector, int32 (n,): that of the nearest centroid."""
    inertia: float
    """Sum of squared distances to the own centroid."""
    inertia_per_start: tuple[float, ...] = ()
    iterations_per_start: tuple[int, ...] = ()
    converged: bool = True
    """Whether the start that was kept stopped because nothing moved, not at the limit."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Members of each cluster, int64 (k,)."""
        return np.bincount(self.assignment, minlength=len(self.centroids)).astype(np.int64)

    @property
    def empties(self) -> int:
        """Clusters without a member; only possible with fewer distinct vectors than clusters."""
        return int((self.sizes == 0).sum())

    @property
    def imbalance(self) -> float:
        """``k sum n_c^2 / n^2``: 1 when all clusters are equally large, k when one holds everything."""
        share = self.sizes / max(1, len(self.assignment))
        return float(len(share) * (share**2).sum())

    def members(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return ``(offsets int64 (k+1,), rows int64 (n,))``: cluster c holds rows[offsets[c]:offsets[c + 1]]."""
        offsets = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        return offsets, np.argsort(self.assignment, kind="stable").astype(np.int64)

    def save(self, folder: Path) -> None:
        """Write ``centroids.npy``, ``assignment.npy`` and ``clustering.json`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "centroids.npy", self.centroids)
        np.save(folder / "assignment.npy", self.assignment)
        facts: dict[str, Any] = {name: getattr(self, name) for name in ("inertia", "converged")}
        facts |= {name: list(getattr(self, name)) for name in ("inertia_per_start", "iterations_per_start")}
        write_json(folder / "clustering.json", facts)

    @classmethod
    def open(cls, folder: Path) -> Clustering:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the folder holds no clustering.
        """
        try:
            facts = json.loads((folder / "clustering.json").read_text(encoding="utf-8"))
            return cls(
                np.load(folder / "centroids.npy"),
                np.load(folder / "assignment.npy"),
                facts["inertia"],
                tuple(facts["inertia_per_start"]),
                tuple(facts["iterations_per_start"]),
                facts["converged"],
            )
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{folder}: holds no clustering ({error}); run the stage cluster-eval.") from None


def fit_kmeans(
    vectors: NDArray[np.floating],
    k: int,
    seed: int,
    starts: int = 3,
    iterations: int = 100,
    progress: Progress = silent,
) -> Clustering:
    """Cluster vectors by k-means and keep the start with the lowest inertia.

    Seeding is greedy k-means++ (Arthur and Vassilvitskii 2007, with the trials of scikit-learn) on a random subsample;
    each start then runs Lloyd's iterations over all vectors until no vector changes its cluster, or to the limit. A
    cluster that loses its members restarts at the vector farthest from its centroid.

    Args:
        vectors: float32 (n, d).
        k: clusters, at most n.
        seed: the run's seed.
        starts: seedings tried.
        iterations: limit of Lloyd's iterations in one start.
        progress: shows iterations.

    Raises:
        UsageError: fewer vectors than clusters, or vectors that are not finite.
    """
    vectors = checked(vectors, "Embeddings to cluster")
    if not 1 <= k <= len(vectors):
        raise UsageError(
            f"{k} clusters need at least as many embeddings, and there are {len(vectors)}. "
            f"Set evaluation.clusters to at most {len(vectors)}."
        )
    if starts < 1 or iterations < 1:
        raise UsageError(f"k-means needs at least one start and one iteration; got {starts} and {iterations}.")
    return _fit_kmeans(vectors, k, seed, starts, iterations, progress)


def assign(vectors: NDArray[np.floating], centroids: NDArray[np.floating]) -> NDArray[np.int32]:
    """Return the nearest centroid of each vector, int32 (n,); ties go to the lowest number."""
    centroids = checked(centroids, "Centroids")
    if not len(centroids):
        raise UsageError("There are no centroids to assign vectors to.")
    return _assign(checked(vectors, "Embeddings to assign", centroids.shape[1]), centroids)[0]


def _fit_kmeans(vectors: Vectors, k: int, seed: int, starts: int, iterations: int, progress: Progress) -> Clustering:
    runs = []
    with progress("k-means", starts * iterations, unit="iteration") as step:
        for start in range(starts):
            centroids = _seed_centroids(vectors, k, generator(seed, "kmeans", start))
            labels, distances = _assign(vectors, centroids)
            converged, used = False, 0
            while not converged and used < iterations:
                centroids = _update(vectors, labels, distances, centroids)
                previous = labels
                labels, distances = _assign(vectors, centroids)
                converged = bool((labels == previous).all())
                used += 1
                step(1)
            step(iterations - used)
            runs.append((float(distances.sum(dtype=np.float64)), start, centroids, labels, used, converged))
    inertia, _, centroids, labels, _, converged = min(runs, key=lambda run: run[:2])
    inertias, used_each = tuple(run[0] for run in runs), tuple(run[4] for run in runs)
    return Clustering(centroids, labels, inertia, inertias, used_each, converged)


def _assign(vectors: Vectors, centroids: Vectors) -> tuple[NDArray[np.int32], Vectors]:
    labels = np.empty(len(vectors), np.int32)
    distances = np.empty(len(vectors), np.float32)

    def work(start: int, stop: int) -> None:
        nearest(vectors[start:stop], centroids, labels[start:stop], distances[start:stop])

    for _ in over_blocks(len(vectors), _BLOCK, work):
        pass
    return labels, distances


def _update(vectors: Vectors, labels: NDArray[np.int32], distances: Vectors, centroids: Vectors) -> Vectors:
    """Return the means of the members; empty clusters move to the vectors farthest from their centroids."""
    sizes = np.bincount(labels, minlength=len(centroids))
    sums = np.zeros(centroids.shape, np.float64)

    def work(start: int, stop: int) -> None:
        _add_members(vectors, labels, start, stop, sums)

    # Over columns, so that each sum stays in row order.
    for _ in over_blocks(vectors.shape[1], 64, work):
        pass
    empty = np.flatnonzero(sizes == 0)
    moved = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    if len(empty):
        moved[empty] = centroids[empty]
        farthest = np.lexsort((np.arange(len(distances)), -distances))[: len(empty)]
        farthest = farthest[distances[farthest] > 0]
        moved[empty[: len(farthest)]] = vectors[farthest]
    return moved


def _seed_centroids(vectors: Vectors, k: int, rng: np.random.Generator) -> Vectors:
    size = min(len(vectors), max(_SEEDING_LEAST, _SEEDING_PER_CENTROID * k))
    if size < len(vectors):
        vectors = vectors[np.sort(rng.choice(len(vectors), size, replace=False))]
    # Products on several threads add in another order. In float64, because scikit-learn converts float32 at each step.
    with threadpool_limits(1, user_api="blas"):
        centroids, _ = kmeans_plusplus(vectors.astype(np.float64), k, random_state=int(rng.integers(2**32)))
    return np.asarray(centroids, np.float32)


@numba.njit(nogil=True, cache=True)
def _add_members(vectors, labels, first, last, sums):  # type: ignore[no-untyped-def]
    for i in range(vectors.shape[0]):
        for t in range(first, last):
            sums[labels[i], t] += vectors[i, t]
