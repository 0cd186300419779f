"""Every vector is compared: exact, and the reference for all other indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.progress import Progress
from aeret.retrieval.indexes.index import Block, Index, inserted
from aeret.retrieval.indexes.scoring import longest, nearest_raw
from aeret.retrieval.ranking import Ranking


class Flat(Index):
    """The vectors themselves, in order of id."""

    name = "flat"
    BLOCK = 1024

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        self._hold(vectors)

    def _insert(self, vectors: Vectors, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._hold(inserted(self._vectors, vectors, rows))

    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._hold(np.delete(self._vectors, rows, axis=0))

    def _hold(self, vectors: Vectors) -> None:
        self._vectors, self._longest = vectors, None

    _longest: float | None = None
    """Length of the longest vector, measured by the first search that needs it."""

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        return self._vectors[rows]

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"vectors": self._vectors}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._hold(state["vectors"])

    def _search(
        self,
        queries: Vectors,
        n: int,
        exclude: NDArray[np.int64],
        knobs: Mapping[str, Any],
        threads: int,
        progress: Progress,
    ) -> Ranking:
        if self.metric == "dot" and self._longest is None:
            self._longest = longest(self._vectors)
        return super()._search(queries, n, exclude, knobs, threads, progress)

    def _search_block(self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any]) -> Block:
        themselves = int(bool((exclude >= 0).any()))
        found, raw = nearest_raw(queries, self._vectors, n + themselves, self.metric == "dot", self._longest)
        # Each query loses one result: itself, or the last.
        kept = found != exclude[:, None]
        kept[kept.all(axis=1), n:] = False
        rows, raw = found[kept].reshape(len(queries), n), raw[kept].reshape(len(queries), n)
        return rows, raw, len(self) - (exclude >= 0).astype(np.int64), np.zeros(len(queries), np.int64)
