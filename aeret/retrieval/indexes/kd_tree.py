"""The kd-tree (Bentley 1975), searched best bin first (Beis and Lowe 1997).

scikit-learn makes the tree; the search is ours, because scikit-learn's is exact only, and SciPy's bound on the error
says nothing of how much is visited. A box that is farther than the last result is never opened, so in few dimensions
exact results are found early; in hundreds nearly all boxes overlap, and only ``checks`` ends the search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from sklearn.neighbors import KDTree

from aeret.progress import Progress
from aeret.retrieval.indexes.tree import Tree


class KdTree(Tree):
    """Boxes divided at the median of their widest dimension, down to leaves of ``leaf`` to twice as many vectors.

    Memory of the build: 8 bytes per vector and dimension beside the vectors (scikit-learn's copy in float64).
    """

    name = "kd-tree"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"leaf": 40}
    BOUNDS = True

    def _grow(self, seed: int, progress: Progress) -> None:
        with progress("kd-tree", len(self._vectors), unit="vector") as step:
            _, order, nodes, bounds = KDTree(self._vectors, leaf_size=int(self.options["leaf"])).get_arrays()
            order, leaf = np.asarray(order), np.asarray(nodes["is_leaf"], bool)
            numbers = np.arange(len(leaf))
            self._children = np.stack([2 * numbers + 1, np.where(leaf, 0, 2)], axis=1).astype(np.int32)
            self._leaves = np.empty(len(order), np.int32)
            for node in numbers[leaf]:
                self._leaves[order[nodes["idx_start"][node] : nodes["idx_end"][node]]] = node
            # Corners are values of the vectors, so float32 holds them exactly.
            self._low, self._high = (np.ascontiguousarray(each, np.float32) for each in bounds)
            step(len(order))
