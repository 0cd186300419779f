"""The exact index of binary codes: every code is compared, and blocks without a near one are skipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.progress import Progress
from aeret.retrieval.hamming import as_words, nearest_codes
from aeret.retrieval.indexes.binary import Binary
from aeret.retrieval.indexes.index import Block


class BinaryFlat(Binary):
    """All codes, in words of 64 bits. See :mod:`aeret.retrieval.hamming`."""

    name = "binary-flat"

    def _build(self, vectors: NDArray[Any], seed: int, progress: Progress) -> None:
        self._words = as_words(vectors)

    def _insert(self, vectors: NDArray[Any], ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._words = np.insert(self._words, rows - np.arange(len(rows)), as_words(vectors), axis=1)

    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._words = np.delete(self._words, rows, axis=1)

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"words": self._words}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._words = state["words"]

    def _search_block(
        self, queries: NDArray[Any], n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any]
    ) -> Block:
        rows, bits = nearest_codes(as_words(queries), self._words, n, exclude)
        return rows, bits.astype(np.float32), len(self) - (exclude >= 0).astype(np.int64), np.zeros_like(exclude)
