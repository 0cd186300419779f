"""What the indexes of binary codes share: codes for vectors, and Hamming distance, in bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.retrieval.hamming import as_codes, checked_codes
from aeret.retrieval.indexes.index import Index


class Binary(Index):
    """An index of codes: uint8 (n, bits / 8) as :func:`numpy.packbits` makes them, or bool (n, bits).

    Bits are a multiple of 8. Codes go in and out of ``build``, ``add``, ``search`` and ``decoded`` where other indexes
    have vectors; ``decoded`` gives uint8.
    """

    METRICS = ("hamming",)
    BLOCK = 64
    HOLDS = False

    @classmethod
    def _checked(cls, vectors: NDArray[Any], name: str, width: int | None) -> NDArray[Any]:
        return checked_codes(np.asarray(vectors), name, width)

    def _decoded(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return as_codes(self._words[:, rows], self.width)

    _words: NDArray[np.uint64]
    """The codes as columns, uint64 (words, n)."""
