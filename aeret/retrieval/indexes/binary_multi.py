"""Multi-index hashing of binary codes (Norouzi, Punjani and Fleet 2012): exact without looking at every code.

faiss has its tables (``IndexBinaryMultiHash``), but opens a fixed number of buckets, may return fewer results than
wanted and cannot tell whether they are the nearest. Pays where near codes exist, as those of photos alike; of random
codes the nearest are so far away that the scan of ``binary-flat`` is faster, and this index turns to it by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.progress import Progress
from aeret.retrieval.indexes.binary import Binary
from aeret.retrieval.indexes.index import EVERYTHING, Block, inserted
from aeret.retrieval.multi_index import Tables, make_tables, search_tables


class BinaryMulti(Binary):
    """Tables of the codes' substrings. See :mod:`aeret.retrieval.multi_index`; a change makes the tables anew."""

    name = "binary-multi"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"substring": 0}
    """Bits of a substring: 8 or 16; 0 chooses by the number of codes."""
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {"radius": (0, 1, 2, 3, EVERYTHING)}
    """Flipped bits up to which a substring's buckets are opened; never more than it takes to be sure."""
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {"radius": EVERYTHING}

    def _build(self, vectors: NDArray[Any], seed: int, progress: Progress) -> None:
        if self.options["substring"] not in (0, 8, 16):
            raise UsageError(f"A substring has 8 or 16 bits (0: chosen), got {self.options['substring']}.")
        self._make(vectors)

    def _insert(self, vectors: NDArray[Any], ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._make(inserted(self._decoded(np.arange(len(self))), vectors, rows))

    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._make(self._decoded(np.delete(np.arange(len(self)), rows)))

    def _make(self, codes: NDArray[np.uint8]) -> None:
        self._restore(vars(make_tables(codes, self.options["substring"])))

    def _state(self) -> dict[str, NDArray[Any]]:
        return dict(vars(self._tables))

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._tables = Tables(**{name: state[name] for name in ("words", "widths", "offsets", "rows")})
        self._words = self._tables.words

    def _search_block(
        self, queries: NDArray[Any], n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any]
    ) -> Block:
        radius = int(min(knobs["radius"], 16))
        rows, bits, scanned, opened = search_tables(queries, self._tables, n, radius, exclude)
        return rows, bits.astype(np.float32), scanned, opened
