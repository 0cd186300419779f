"""Search the leaves of trees, the most promising first (Beis and Lowe 1997): ``kd-tree`` and ``hk-tree``.

A leaf is an inverted list of whole vectors. A search goes through leaves in the order of their distance from the query
until ``checks`` vectors have been compared and there are enough results.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import KDTree

from aeret.clustering.kmeans import fit_kmeans
from aeret.embeddings.distances import Vectors
from aeret.retrieval.indexes.checks import within
from aeret.retrieval.indexes.index import EVERYTHING
from aeret.retrieval.indexes.inverted import Inverted, Lists
from aeret.rng import derive

_VALUES_AT_ONCE = 2**24


class Tree(Inverted):
    """Hold a tree's leaves; what is added later joins the leaf whose centre is nearest."""

    METRICS = ("cosine", "euclidean")
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {
        "checks": (100, 300, 1000, 3000, 10_000, 30_000, EVERYTHING)
    }
    """Vectors compared before a search ends."""
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {"checks": 3000}

    @abstractmethod
    def _leaves(self, vectors: Vectors, seed: int) -> list[NDArray[np.int64]]:
        """Return the rows of each leaf."""

    def _factory(self, count: int) -> str:
        return "IVF,Flat"

    def _made(self, vectors: Vectors, seed: int) -> Any:
        within(self.options["leaf"], 1, 2**31, f"leaf of the index {self.name}")
        leaves = self._leaves(vectors, seed)
        quantizer = faiss.IndexFlatL2(self.width)
        quantizer.add(np.stack([vectors[rows].mean(axis=0, dtype=np.float64) for rows in leaves]).astype(np.float32))
        index = faiss.IndexIVFFlat(quantizer, self.width, len(leaves))
        index.is_trained = True
        self._leaf_of = np.empty(len(vectors), np.int64)
        for number, rows in enumerate(leaves):
            self._leaf_of[rows] = number
        return index

    def _encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        codes = super()._encode(vectors)
        if self._leaf_of is not None:  # of the build; centres of other leaves may be nearer
            prefix = self._faiss.coarse_code_size()
            codes[:, :prefix] = self._leaf_of.astype("<i8")[:, None].view(np.uint8)[:, :prefix]
            self._leaf_of = None
        return codes

    _leaf_of: NDArray[np.int64] | None = None

    def _reach(self, knobs: Mapping[str, Any]) -> tuple[int, int]:
        return 1, int(min(knobs["checks"], len(self)))


class KdTree(Tree):
    """Divide at the median of the widest dimension (Bentley 1975), down to ``leaf`` to twice as many vectors.

    scikit-learn makes the tree. Its memory: 8 bytes per vector and dimension beside the vectors. Leaves are searched in
    the order of the distance to their boxes.
    """

    name = "kd-tree"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"leaf": 40}

    def _leaves(self, vectors: Vectors, seed: int) -> list[NDArray[np.int64]]:
        _, order, nodes, bounds = KDTree(vectors, leaf_size=int(self.options["leaf"])).get_arrays()
        leaf = np.asarray(nodes["is_leaf"], bool)
        # Corners are values of the vectors, so float32 holds them exactly.
        self._low, self._high = (np.ascontiguousarray(each[leaf], np.float32) for each in bounds)
        spans = zip(nodes["idx_start"][leaf], nodes["idx_end"][leaf], strict=True)
        return [np.asarray(order[start:stop]) for start, stop in spans]

    def _order(self, queries: Vectors, count: int) -> tuple[Lists, Vectors]:
        far = np.empty((len(queries), len(self._low)), np.float32)
        size = max(1, _VALUES_AT_ONCE // self._low.size)
        for start in range(0, len(queries), size):
            some = queries[start : start + size, None]
            step = np.maximum(np.maximum(self._low - some, some - self._high), 0)
            far[start : start + size] = np.einsum("qld,qld->ql", step, step)
        lists = np.argsort(far, axis=1, kind="stable")[:, :count]
        return lists, np.take_along_axis(far, lists, axis=1)

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"low": self._low, "high": self._high}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._low, self._high = state["low"], state["high"]


class HkTree(Tree):
    """Cluster into ``branching`` clusters, and these again, until one holds ``leaf`` vectors or fewer.

    Hierarchical k-means (Nister and Stewenius 2006), searched as FLANN does (Muja and Lowe 2009); ``iterations`` limits
    each k-means.
    """

    name = "hk-tree"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"branching": 16, "leaf": 64, "iterations": 11}

    def _leaves(self, vectors: Vectors, seed: int) -> list[NDArray[np.int64]]:
        branching = within(self.options["branching"], 2, 2**16, "branching of the index hk-tree")
        iterations = within(self.options["iterations"], 1, 2**16, "iterations of the index hk-tree")
        leaf, leaves, waiting, node = int(self.options["leaf"]), [], [np.arange(len(vectors))], 0
        while waiting:
            rows = waiting.pop()
            parts = [rows]
            if len(rows) > leaf:
                # No more branches than make leaves half full: small ones cost more than their vectors.
                count = min(branching, len(rows), max(2, -(-2 * len(rows) // leaf)))
                fit = fit_kmeans(vectors[rows], count, derive(seed, "hk-tree", node), 1, iterations)
                parts = [rows[fit.assignment == cluster] for cluster in range(count)]
                parts, node = [part for part in parts if len(part)], node + 1
            if len(parts) == 1:  # small enough, or equal vectors, which cannot be divided
                leaves.append(rows)
            else:
                waiting += parts[::-1]
        return leaves
