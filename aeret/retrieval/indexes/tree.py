"""What the trees share: vectors in leaves, and a search that goes to the most promising leaf first.

Best-bin-first search (Beis and Lowe 1997): a query goes down to the leaf that looks nearest, and what it passes by
waits in a queue by its distance. Then the search goes on from the nearest in the queue, until ``checks`` vectors have
been compared and there are enough results. All candidates are scored exactly, in a fixed order.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Any, ClassVar

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, decode, sort_keys, squared_distance
from aeret.errors import UsageError
from aeret.progress import Progress
from aeret.retrieval.indexes.index import EVERYTHING, Block, Index, inserted
from aeret.retrieval.smallest import sort_smallest


class Tree(Index):
    """An index of leaves under nodes, each node a box of space (a point is one too).

    The tree stays as it was built; what is added goes to the leaf it would be looked for first. A tree gives
    ``BOUNDS``, ``OPTIONS`` with ``leaf``, and ``_grow``. Memory of a search: 8 bytes per result and member of a leaf.
    """

    METRICS = ("cosine", "euclidean")
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {
        "checks": (100, 300, 1000, 3000, 10_000, 30_000, EVERYTHING)
    }
    """Vectors compared before a search ends."""
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {"checks": 3000}
    BOUNDS: ClassVar[bool]
    """Whether a node's box holds all its members, so that a box that is too far away need not be opened."""

    _vectors: Vectors
    _leaves: NDArray[np.int32]
    """Node that holds each vector, int32 (n,)."""
    _children: NDArray[np.int32]
    """First child of each node and how many there are (0: a leaf), int32 (nodes, 2); the root is node 0."""
    _low: Vectors
    """Least corner of each node's box, float32 (nodes, d)."""
    _high: Vectors

    @abstractmethod
    def _grow(self, seed: int, progress: Progress) -> None:
        """Make the tree of ``_vectors``: set the other four."""

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        if self.options["leaf"] < 1:
            raise UsageError(f"A leaf must hold at least one vector, got leaf={self.options['leaf']}.")
        self._vectors = vectors
        self._grow(seed, progress)
        self._fill()

    def _fill(self) -> None:
        sizes = np.bincount(self._leaves, minlength=len(self._children))
        self._offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self._members = np.argsort(self._leaves, kind="stable").astype(np.uint32)

    def _insert(self, vectors: Vectors, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        leaves = np.empty(len(vectors), np.int32)
        if self.BOUNDS:
            self._low, self._high = np.array(self._low), np.array(self._high)
        _descend(vectors, self._children, self._low, self._high, self.BOUNDS, leaves)
        self._vectors = inserted(self._vectors, vectors, rows)
        self._leaves = inserted(self._leaves, leaves, rows)
        self._fill()

    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._vectors = np.delete(self._vectors, rows, axis=0)
        self._leaves = np.delete(self._leaves, rows)
        self._fill()

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        return self._vectors[rows]

    def _state(self) -> dict[str, NDArray[Any]]:
        state = {"vectors": self._vectors, "leaves": self._leaves, "children": self._children, "low": self._low}
        return {**state, "high": self._high} if self.BOUNDS else state

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._vectors, self._leaves, self._children = state["vectors"], state["leaves"], state["children"]
        self._low = state["low"]
        self._high = state["high"] if self.BOUNDS else self._low
        self._fill()

    def _bytes(self) -> int:
        return super()._bytes() + self._offsets.nbytes + self._members.nbytes

    def _search_block(self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any]) -> Block:
        keys = np.empty((len(queries), n), np.uint64)
        scanned, probes = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.int64)
        checks = int(min(knobs["checks"], len(self)))
        _search(
            queries, self._vectors, self._children, self._low, self._high, self.BOUNDS, self._offsets, self._members,
            exclude, checks, keys, scanned, probes,
        )  # fmt: skip
        return *decode(keys), scanned, probes


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def _to_box(vector, low, high):  # type: ignore[no-untyped-def]
    """Return the squared distance to the nearest point of a box."""
    total = np.float32(0.0)
    for t in range(vector.shape[0]):
        step = max(low[t] - vector[t], vector[t] - high[t], np.float32(0.0))
        total += step * step
    return total


@numba.njit(nogil=True, cache=True)
def _descend(vectors, children, low, high, bounds, leaves):  # type: ignore[no-untyped-def]
    """Write the leaf of each new vector, and widen the boxes on the way to it."""
    for i in range(vectors.shape[0]):
        node = 0
        while True:
            if bounds:
                for t in range(vectors.shape[1]):
                    low[node, t] = min(low[node, t], vectors[i, t])
                    high[node, t] = max(high[node, t], vectors[i, t])
            first, count = children[node, 0], children[node, 1]
            if count == 0:
                break
            best, node = np.float32(np.inf), first
            for child in range(first, first + count):
                far = _to_box(vectors[i], low[child], high[child])
                if far < best:
                    best, node = far, child
        leaves[i] = node


@numba.njit(nogil=True, cache=True)
def _search(  # type: ignore[no-untyped-def]
    queries, vectors, children, low, high, bounds, offsets, members, exclude, checks, keys, scanned, probes
):
    wanted, width = keys.shape[1], queries.shape[1]
    largest = 0
    for node in range(children.shape[0]):
        largest = max(largest, offsets[node + 1] - offsets[node])
    pool = np.empty(wanted + largest, np.uint64)
    # Sums of a box's distance and of a vector's are rounded each on its own.
    sure = np.float32(1 - 4 * (width + 4) * 2.0**-24)
    for i in range(queries.shape[0]):
        waiting = [(np.float32(0.0), 0)]
        found = 0
        while len(waiting) > 0 and (scanned[i] < checks or found < wanted):
            far, node = heappop(waiting)
            if bounds and found == wanted and _bits(far * sure) > pool[wanted - 1] >> np.uint64(32):
                break
            while children[node, 1] > 0:
                first, after = children[node, 0], children[node, 0] + children[node, 1]
                best, node = np.float32(np.inf), first
                for child in range(first, after):
                    if bounds:
                        far = _to_box(queries[i], low[child], high[child])
                    else:
                        far = squared_distance(queries[i], low[child])
                    if far < best:
                        if child > first:
                            heappush(waiting, (best, node))
                        best, node = far, child
                    else:
                        heappush(waiting, (far, child))
            rows = members[offsets[node] : offsets[node + 1]]
            rows = rows[rows != exclude[i]]
            scanned[i] += rows.shape[0]
            probes[i] += 1
            sort_keys(queries[i], vectors, rows, pool[found : found + rows.shape[0]])
            found += rows.shape[0]
            sort_smallest(pool[:found], min(found, wanted))
            found = min(found, wanted)
        keys[i] = pool[:wanted]


@numba.njit(nogil=True, cache=True)
def _bits(value):  # type: ignore[no-untyped-def]
    one = np.empty(1, np.float32)
    one[0] = value
    return np.uint64(one.view(np.uint32)[0])
