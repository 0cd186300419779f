"""The product's own order as an index: nearest cluster first (:mod:`aeret.retrieval.cluster_first`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering, assign
from aeret.embeddings.distances import Vectors
from aeret.progress import Progress
from aeret.retrieval import cluster_first
from aeret.retrieval.indexes.index import EVERYTHING, Index, inserted
from aeret.retrieval.indexes.training import train_centroids
from aeret.retrieval.ranking import Ranking


class ClusterFirst(Index):
    """Whole vectors in clusters; exact within those visited.

    ``order`` is ``sequential`` (all of a cluster's results before the next cluster's) or ``pooled``; ``min_probes`` is
    the least number of clusters that ``pooled`` visits.
    """

    name = "cluster-first"
    OPTIONS = {"clusters": 0}
    KNOBS = {"order": ("sequential", "pooled"), "min_probes": (1, 2, 4, 8, 16, 32, 64, EVERYTHING)}
    DEFAULTS = {"order": "pooled", "min_probes": 1}
    METRICS = ("cosine", "euclidean")

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        count = min(len(vectors), self.options["clusters"] or max(1, round(1.5 * len(vectors) ** 0.5)))
        self.options["clusters"] = count
        with progress("train clusters", 1, unit="clustering") as step:
            self._centroids = train_centroids(vectors, count, seed, self.name)
            step(1)
        self._fill(vectors, assign(vectors, self._centroids))

    def _insert(self, vectors: Vectors, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        assignment = inserted(self._assignment, assign(vectors, self._centroids), rows)
        self._fill(inserted(self._vectors, vectors, rows), assignment)

    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._fill(np.delete(self._vectors, rows, axis=0), np.delete(self._assignment, rows))

    def _fill(self, vectors: Vectors, assignment: NDArray[np.int32]) -> None:
        self._vectors, self._assignment = vectors, assignment
        clustering = Clustering(self._centroids, assignment, 0.0)
        self._searcher = cluster_first.ClusterFirst(vectors, clustering, copy=False)

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        return self._vectors[rows]

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"vectors": self._vectors, "centroids": self._centroids, "assignment": self._assignment}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._centroids = state["centroids"]
        self._fill(state["vectors"], state["assignment"])

    def _bytes(self) -> int:
        return super()._bytes() + 16 * len(self)  # the members of each cluster

    def _search(
        self,
        queries: Vectors,
        n: int,
        exclude: NDArray[np.int64],
        knobs: Mapping[str, Any],
        threads: int,
        progress: Progress,
    ) -> Ranking:
        probes = int(min(max(1, knobs["min_probes"]), len(self._centroids)))
        order = knobs["order"]
        return self._searcher.search(queries, n, order, exclude, probes, threads=threads, progress=progress)

    def _distances(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        return raw * raw / np.float32(2) if self.metric == "cosine" else raw
