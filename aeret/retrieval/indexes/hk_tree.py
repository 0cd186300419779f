"""The hierarchical k-means tree (Nister and Stewenius 2006), searched best bin first as FLANN (Muja, Lowe 2009)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import fit_kmeans
from aeret.embeddings.distances import Vectors
from aeret.errors import UsageError
from aeret.progress import Progress
from aeret.retrieval.indexes.tree import Tree
from aeret.rng import derive


class HkTree(Tree):
    """Vectors are clustered into ``branching`` clusters, these again, until a cluster holds ``leaf`` vectors or fewer.

    ``iterations`` limits each k-means. Memory of the build: a second copy of the vectors. What is added later makes
    leaves larger but no new ones.
    """

    name = "hk-tree"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"branching": 16, "leaf": 64, "iterations": 11}
    BOUNDS = False

    def _grow(self, seed: int, progress: Progress) -> None:
        branching, leaf, iterations = (int(self.options[name]) for name in ("branching", "leaf", "iterations"))
        if branching < 2 or iterations < 1:
            raise UsageError(
                f"A tree needs at least two branches and one iteration of k-means, got branching={branching} and "
                f"iterations={iterations}."
            )
        centroids: list[Vectors] = [self._vectors.mean(axis=0, dtype=np.float64).astype(np.float32)[None]]
        children = [(0, 0)]
        self._leaves = np.zeros(len(self._vectors), np.int32)
        waiting: deque[tuple[int, NDArray[np.int64]]] = deque([(0, np.arange(len(self._vectors)))])
        with progress("hierarchical k-means", len(self._vectors), unit="vector") as step:
            while waiting:
                node, rows = waiting.popleft()
                parts: list[NDArray[np.int64]] = []
                if len(rows) > leaf:
                    # No more branches than make leaves half full: small ones cost more than their vectors.
                    count = min(branching, len(rows), max(2, -(-2 * len(rows) // leaf)))
                    fit = fit_kmeans(self._vectors[rows], count, derive(seed, "hk-tree", node), 1, iterations)
                    order = np.argsort(fit.assignment, kind="stable")
                    parts = np.split(rows[order], np.cumsum(fit.sizes)[:-1])
                if sum(len(part) > 0 for part in parts) < 2:  # equal vectors cannot be divided
                    self._leaves[rows] = node
                    step(len(rows))
                    continue
                children[node] = (len(children), sum(len(part) > 0 for part in parts))
                centroids.append(fit.centroids[fit.sizes > 0])
                for part in parts:
                    if len(part):
                        waiting.append((len(children), part))
                        children.append((0, 0))
        self._children = np.array(children, np.int32)
        self._low = self._high = np.concatenate(centroids)
