"""Offer the product's own order as an index: nearest cluster first (:mod:`aeret.retrieval.cluster_first`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering, assign
from aeret.embeddings.distances import Vectors, checked
from aeret.errors import UsageError
from aeret.progress import Progress
from aeret.retrieval import cluster_first
from aeret.retrieval.indexes.checks import inserted
from aeret.retrieval.indexes.index import EVERYTHING, Found, Index
from aeret.retrieval.indexes.training import train_centroids


class ClusterFirst(Index):
    """Lay whole vectors out by cluster; the search is exact within the clusters visited.

    ``build(..., centroids=...)`` takes the clusters of a run, as a :class:`Clustering` or float32 (k, d), in place of
    training its own; each vector goes to the nearest.

    ``order`` is ``sequential`` (all of a cluster's results before the next cluster's) or ``pooled``; ``min_probes`` is
    the least number of clusters that ``pooled`` visits.
    """

    name = "cluster-first"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"clusters": 0}
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {
        "order": ("sequential", "pooled"),
        "min_probes": (1, 2, 4, 8, 16, 32, 64, EVERYTHING),
    }
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {"order": "pooled", "min_probes": 1}
    METRICS = ("cosine", "euclidean")
    GIVEN = ("centroids",)

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        given = self._given.get("centroids")
        if given is None:
            count = min(len(vectors), int(self.options["clusters"]) or max(1, round(1.5 * len(vectors) ** 0.5)))
            with progress("train clusters", 1, unit="clustering") as step:
                self._centroids = train_centroids(vectors, count, seed, self.name)
                step(1)
        else:
            self._centroids = _checked_centroids(given, self.width, int(self.options["clusters"]))
        self.options["clusters"] = len(self._centroids)
        self._fill(vectors, assign(vectors, self._centroids))

    def _insert(self, vectors: Vectors, rows: NDArray[np.int64]) -> None:
        assignment = inserted(self._assignment, assign(vectors, self._centroids), rows)
        self._fill(inserted(self._members[self._places], vectors, rows), assignment)

    def _delete(self, rows: NDArray[np.int64]) -> None:
        self._fill(self._members[np.delete(self._places, rows)], np.delete(self._assignment, rows))

    def _fill(self, vectors: Vectors, assignment: NDArray[np.int32]) -> None:
        """Take vectors in order of row, and lay them out by cluster."""
        rows = Clustering(self._centroids, assignment, 0.0).members()[1]
        self._restore({"members": vectors[rows], "centroids": self._centroids, "assignment": assignment})

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        return self._members[self._places[rows]]

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"members": self._members, "centroids": self._centroids, "assignment": self._assignment}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._members, self._centroids, assignment = state["members"], state["centroids"], state["assignment"]
        fits = len(assignment) == len(self._members)
        if not fits or not 0 <= assignment.min() <= assignment.max() < len(self._centroids):
            raise ValueError("the assignment does not fit")
        self._assignment = assignment
        clustering = Clustering(self._centroids, assignment, 0.0)
        rows = clustering.members()[1]
        self._places = np.empty_like(rows)
        self._places[rows] = np.arange(len(rows))
        self._searcher = cluster_first.ClusterFirst.of_members(self._members, clustering)

    def _bytes(self) -> int:
        return super()._bytes() + 24 * len(self)  # rows and places of members

    def _search_block(
        self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any], threads: int
    ) -> Found:
        probes = int(min(max(1, knobs["min_probes"]), len(self._centroids)))
        found = self._searcher.search(queries, n, knobs["order"], exclude, probes, threads=threads)
        return found.rows, self._distances(np.square(found.distances)), found.scanned, found.probes


def _checked_centroids(given: object, width: int, count: int) -> Vectors:
    """Return a copy of the centroids that are given, ``count`` of them unless that is 0."""
    centroids = given.centroids if isinstance(given, Clustering) else np.asarray(given)
    centroids = np.array(checked(centroids, "Centroids", width))
    if not len(centroids) or count not in (0, len(centroids)):
        raise UsageError(f"centroids= gives {len(centroids)} clusters; expected {count or 'at least one'}.")
    return centroids
