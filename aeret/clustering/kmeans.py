"""Cluster vectors by the k-means of faiss."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.artifacts import write_json
from aeret.embeddings.distances import Vectors, checked, faiss_threads, nearest_rows
from aeret.errors import DataError, UsageError
from aeret.progress import Progress, silent
from aeret.rng import derive

_REPAIRS = 10
"""Most rounds in which empty clusters restart."""
_AT_ONCE = 65_536
_FACTS = ("inertia", "inertia_per_start", "iterations_per_start", "converged")


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
    """Inertia of each start; the lowest was kept."""
    iterations_per_start: tuple[int, ...] = ()
    converged: bool = True
    """Whether the start that was kept stopped by its tolerance, not at the limit of iterations."""

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
        """Write ``centroids.npy``, ``assignment.npy`` and, last, ``clustering.json`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "centroids.npy", self.centroids)
        np.save(folder / "assignment.npy", self.assignment)
        write_json(folder / "clustering.json", {name: getattr(self, name) for name in _FACTS})

    @staticmethod
    def is_in(folder: Path) -> bool:
        """Return whether a folder holds a complete clustering."""
        return (folder / "clustering.json").is_file()

    @classmethod
    def open(cls, folder: Path) -> Clustering:
        """Read what :meth:`save` wrote; another folder is a DataError."""
        try:
            facts = json.loads((folder / "clustering.json").read_text(encoding="utf-8"))
            kept: list[Any] = [tuple(facts[name]) if "_per_" in name else facts[name] for name in _FACTS]
            return cls(np.load(folder / "centroids.npy"), np.load(folder / "assignment.npy"), *kept)
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{folder}: holds no clustering ({error}); run the stage cluster-eval.") from None


def fit_kmeans(
    vectors: NDArray[np.floating],
    k: int,
    seed: int,
    starts: int = 3,
    iterations: int = 100,
    progress: Progress = silent,
    *,
    tolerance: float = 1e-4,
    threads: int = 0,
) -> Clustering:
    """Cluster vectors by k-means and return the start with the lowest inertia.

    Starts are seeded by k-means++ (Arthur and Vassilvitskii 2007). A cluster without members restarts at the vector
    farthest from its centroid.

    Args:
        vectors: float32 (n, d).
        k: clusters, at most n.
        seed: the run's seed.
        starts: seedings tried.
        iterations: limit of Lloyd's iterations of one start.
        progress: shows starts.
        tolerance: iterations stop when the inertia falls by less than this share in one; 0: at the limit.
        threads: 0 means one per core.

    Raises:
        UsageError: fewer vectors than clusters, or vectors that are not finite or have no dimensions.

    Example:
        >>> points = np.array([[0.0], [0.1], [5.0]], np.float32)
        >>> fit_kmeans(points, 2, seed=0).sizes.tolist() in ([2, 1], [1, 2])
        True
    """
    vectors = checked(vectors, "Embeddings to cluster")
    if not 1 <= k <= len(vectors):
        raise UsageError(
            f"{k} clusters need at least as many embeddings, and there are {len(vectors)}. "
            f"Set evaluation.clusters to at most {len(vectors)}."
        )
    if not vectors.shape[1]:
        raise UsageError("Embeddings without dimensions cannot be clustered.")
    if starts < 1 or iterations < 1:
        raise UsageError(f"k-means needs at least one start and one iteration; got {starts} and {iterations}.")
    if not 0 <= tolerance < 1:
        raise UsageError(f"The tolerance of k-means is a share of the inertia, from 0 to below 1; got {tolerance:g}.")
    with progress("k-means", starts, unit="start") as step, faiss_threads(threads):
        fits = []
        for start in range(starts):
            fits.append(_start(vectors, k, derive(seed, "kmeans", start), iterations, tolerance))
            step(1)
    best = min(fits, key=lambda fit: fit.inertia)
    inertias = tuple(fit.inertia for fit in fits)
    used = tuple(fit.iterations_per_start[0] for fit in fits)
    return Clustering(best.centroids, best.assignment, best.inertia, inertias, used, best.converged)


def assign(vectors: NDArray[np.floating], centroids: NDArray[np.floating], threads: int = 0) -> NDArray[np.int32]:
    """Return the nearest centroid of each vector, int32 (n,); ties go to the lowest number."""
    centroids = checked(centroids, "Centroids")
    if not len(centroids):
        raise UsageError("There are no centroids to assign vectors to.")
    with faiss_threads(threads):
        return _assigned(checked(vectors, "Embeddings to assign", centroids.shape[1]), centroids)[0]


def _start(vectors: Vectors, k: int, seed: int, iterations: int, tolerance: float) -> Clustering:
    trainer: Any = faiss.Kmeans(
        vectors.shape[1],
        k,
        niter=iterations,
        seed=seed & 0x7FFFFFFF,
        init_method=faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS,
        early_stop_threshold=tolerance,
        # All vectors, never a sample; and no warning on standard error where they are few.
        max_points_per_centroid=len(vectors),
        min_points_per_centroid=1,
    )
    trainer.train(vectors)
    used = len(trainer.obj)
    centroids, labels, distances = _settled(vectors, np.asarray(trainer.centroids, np.float32))
    # At the limit of iterations the last step tells.
    settled = used > 1 and trainer.obj[-2] - trainer.obj[-1] <= tolerance * trainer.obj[-1]
    inertia = float(distances.sum(dtype=np.float64))
    return Clustering(centroids, labels, inertia, (inertia,), (used,), bool(used < iterations or settled))


def _settled(vectors: Vectors, centroids: Vectors) -> tuple[Vectors, NDArray[np.int32], Vectors]:
    """Move centroids to the means of their members, and restart empty clusters at the farthest vectors."""
    # faiss leaves the copies by which it fills empty clusters beside their originals, not at a mean.
    labels, distances = _assigned(vectors, centroids)
    for _ in range(_REPAIRS):
        centroids = _means(vectors, labels, centroids)
        labels, distances = _assigned(vectors, centroids)
        empty = np.flatnonzero(np.bincount(labels, minlength=len(centroids)) == 0)
        farthest = np.argsort(-distances, kind="stable")[: len(empty)]
        farthest = farthest[distances[farthest] > 0]
        if not len(farthest):
            break
        centroids[empty[: len(farthest)]] = vectors[farthest]
        labels, distances = _assigned(vectors, centroids)
    return centroids, labels, distances


def _means(vectors: Vectors, labels: NDArray[np.int32], centroids: Vectors) -> Vectors:
    """Return the mean of each cluster's members, float32 (k, d); an empty cluster keeps its centroid."""
    moved = centroids.copy()
    for cluster, rows in enumerate(np.split(np.argsort(labels, kind="stable"), np.bincount(labels).cumsum()[:-1])):
        if len(rows):
            moved[cluster] = vectors[rows].mean(axis=0, dtype=np.float64)
    return moved


def _assigned(vectors: Vectors, centroids: Vectors) -> tuple[NDArray[np.int32], Vectors]:
    labels, distances = np.empty(len(vectors), np.int32), np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _AT_ONCE):
        rows, squared = nearest_rows(vectors[start : start + _AT_ONCE], centroids, 1)
        labels[start : start + _AT_ONCE], distances[start : start + _AT_ONCE] = rows[:, 0], squared[:, 0]
    return labels, distances
