"""Compare every vector: exact, and the reference for all other indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.progress import Progress
from aeret.retrieval.exhaustive import nearest_but
from aeret.retrieval.indexes.checks import inserted
from aeret.retrieval.indexes.index import Found, Index


class Flat(Index):
    """Hold the vectors themselves, in order of id, memory-mapped if they are opened from a file."""

    name = "flat"
    HOLDS = True
    _vectors: NDArray[Any]

    def _build(self, vectors: NDArray[Any], seed: int, progress: Progress) -> None:
        self._vectors = vectors

    def _insert(self, vectors: NDArray[Any], rows: NDArray[np.int64]) -> None:
        self._vectors = inserted(self._vectors, vectors, rows)

    def _delete(self, rows: NDArray[np.int64]) -> None:
        self._vectors = np.delete(self._vectors, rows, axis=0)

    def _decoded(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return self._vectors[rows]

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"vectors": self._vectors}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._vectors = state["vectors"]

    def _search_block(
        self, queries: NDArray[Any], n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any], threads: int
    ) -> Found:
        rows, raw = nearest_but(queries, self._vectors, n, exclude, self.metric == "dot")
        return rows, self._distances(raw), len(self) - (exclude >= 0), np.zeros(len(queries), np.int64)
