"""k-means: seeded greedy k-means++, several starts, Lloyd's iterations in stages, and its quality report.

The starts are seeded and iterated on a random sample; the best goes on with four times as many vectors, until it has
all of them, where it needs few more iterations (docs/decisions/0006-k-means.md). Small sets have one stage.
The result is the same for any number of threads: distances are summed in a fixed order, ties go to the lowest
centroid, and sums of members are float64 in row order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.artifacts import write_json
from aeret.clustering.lloyd import own_distances, start_lloyd
from aeret.clustering.seeding import seed_centroids
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, nearest
from aeret.errors import DataError, UsageError
from aeret.progress import Progress, Step, silent
from aeret.rng import generator

_BLOCK = 4096
# A stage has a quarter of the vectors of the next; the first at least these many, and these many per centroid.
_GROWTH, _STAGES, _STAGE_LEAST, _STAGE_PER_CENTROID = 4, 3, 4096, 30
# k-means++ looks at these many vectors per centroid, and at least: more hardly lower inertia.
_SEEDING_PER_CENTROID, _SEEDING_LEAST = 32, 4096
# Before the last stage centroids need not settle: they move on anyway.
_EARLY_TOLERANCE = 1e-3


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
    """Of each start on the sample where they are compared; on all vectors where there are few."""
    iterations_per_start: tuple[int, ...] = ()
    """Iterations of each start on that sample; of the start that was kept, on all that followed too."""
    converged: bool = True
    """Whether the start that was kept stopped by its rule, not at the limit of iterations."""

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
    *,
    tolerance: float = 1e-4,
    threads: int = 0,
) -> Clustering:
    """Cluster vectors by k-means.

    Starts are seeded by greedy k-means++ (Arthur and Vassilvitskii 2007) and iterated on a random sample; the one with
    the lowest inertia there goes on over larger samples to all vectors. Lloyd's iterations choose among each vector's
    nearest centroids; when these settle all centroids are searched, and so on until that brings no more either. A
    cluster that loses its members restarts at the vector farthest from its centroid.

    Args:
        vectors: float32 (n, d).
        k: clusters, at most n.
        seed: the run's seed.
        starts: seedings tried.
        iterations: limit of Lloyd's iterations in one stage.
        progress: shows iterations.
        tolerance: iterations stop when the inertia falls by less than this share in one; 0: when no vector moves.
        threads: 0 means one per core; never changes the result.

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
    if not 0 <= tolerance < 1:
        raise UsageError(f"The tolerance of k-means is a share of the inertia, from 0 to below 1; got {tolerance:g}.")
    return _fit_kmeans(vectors, k, seed, starts, iterations, progress, tolerance, threads)


def assign(vectors: NDArray[np.floating], centroids: NDArray[np.floating], threads: int = 0) -> NDArray[np.int32]:
    """Return the nearest centroid of each vector, int32 (n,); ties go to the lowest number."""
    centroids = checked(centroids, "Centroids")
    if not len(centroids):
        raise UsageError("There are no centroids to assign vectors to.")
    vectors = checked(vectors, "Embeddings to assign", centroids.shape[1])
    labels = np.empty(len(vectors), np.int32)
    distances = np.empty(len(vectors), np.float32)

    def work(start: int, stop: int) -> None:
        nearest(vectors[start:stop], centroids, labels[start:stop], distances[start:stop])

    for _ in over_blocks(len(vectors), _BLOCK, work, threads):
        pass
    return labels


@dataclass(frozen=True)
class _Fit:
    """Where the iterations over some vectors ended."""

    centroids: Vectors
    labels: NDArray[np.int32]
    inertia: float
    used: int
    converged: bool


def _fit_kmeans(
    vectors: Vectors,
    k: int,
    seed: int,
    starts: int,
    iterations: int,
    progress: Progress,
    tolerance: float,
    threads: int,
) -> Clustering:
    sizes = _stage_sizes(len(vectors), k)
    order = generator(seed, "kmeans", "stages").permutation(len(vectors)) if len(sizes) > 1 else None
    with progress("k-means", (starts + len(sizes) - 1) * iterations, unit="iteration") as step:

        def iterate(size: int, centroids: Vectors | int) -> _Fit:
            some = vectors if order is None or size == len(vectors) else vectors[np.sort(order[:size])]
            if isinstance(centroids, int):
                centroids = _seed_centroids(some, k, generator(seed, "kmeans", centroids), threads)
            least = tolerance if size == len(vectors) else max(tolerance, _EARLY_TOLERANCE)
            # After the first stage centroids stay near: lists are not renewed. And a stage between the first and the
            # last, which begins with a search of all and is followed by one, needs none at its end.
            first, between = size == sizes[0], size in sizes[1:-1]
            return _lloyd(some, centroids, iterations, least, threads, step, renew=first, search_last=not between)

        fits = [iterate(sizes[0], start) for start in range(starts)]
        best = min(range(starts), key=lambda start: (fits[start].inertia, start))
        kept, used = fits[best], [fit.used for fit in fits]
        for size in sizes[1:]:
            kept = iterate(size, kept.centroids)
            used[best] += kept.used
    inertias = tuple(fit.inertia for fit in fits)
    return Clustering(kept.centroids, kept.labels, kept.inertia, inertias, tuple(used), kept.converged)


def _stage_sizes(count: int, k: int) -> list[int]:
    sizes = [count]
    while len(sizes) < _STAGES and sizes[0] // _GROWTH >= max(_STAGE_LEAST, _STAGE_PER_CENTROID * k):
        sizes.insert(0, sizes[0] // _GROWTH)
    return sizes


def _lloyd(
    vectors: Vectors,
    centroids: Vectors,
    iterations: int,
    tolerance: float,
    threads: int,
    step: Step,
    *,
    renew: bool = True,
    search_last: bool = True,
) -> _Fit:
    lloyd = start_lloyd(vectors, centroids, threads)
    before, settled, converged, used = lloyd.inertia(), False, False, 0
    while not converged and used < iterations:
        emptied = lloyd.empties() > 0
        everywhere = settled or emptied or lloyd.complete or used == iterations - 1
        changed = lloyd.iterate(everywhere, renew)
        after = lloyd.inertia()
        # Where a cluster was empty, inertia has yet to fall.
        settled = changed == 0 or (not emptied and before - after < tolerance * after)
        converged, before = settled and (everywhere or not search_last), after
        used += 1
        step(1)
    step(iterations - used)
    exact = float(own_distances(vectors, lloyd.centroids, lloyd.labels, threads).sum(dtype=np.float64))
    return _Fit(lloyd.centroids, lloyd.labels, exact, used, converged)


def _seed_centroids(vectors: Vectors, k: int, rng: np.random.Generator, threads: int) -> Vectors:
    size = min(len(vectors), max(_SEEDING_LEAST, _SEEDING_PER_CENTROID * k))
    if size < len(vectors):
        vectors = vectors[np.sort(rng.choice(len(vectors), size, replace=False))]
    return seed_centroids(vectors, k, rng, threads)
