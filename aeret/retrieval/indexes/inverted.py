"""Search inverted lists: vectors grouped by their nearest centroid, of which a query reads the nearest lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.retrieval.indexes.checks import one_of, parts_of
from aeret.retrieval.indexes.faiss_index import FaissIndex, settled
from aeret.retrieval.indexes.index import EVERYTHING, Found

Lists = NDArray[np.int64]
"""Lists in the order in which each query reads them, -1 after the last; int64 (b, p)."""


class Inverted(FaissIndex):
    """Read the ``nprobe`` nearest lists, and more if they hold fewer vectors than are wanted."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"lists": 0}
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {"nprobe": (1, 2, 4, 8, 16, 32, 64, 128, EVERYTHING)}
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {"nprobe": 8}

    def _lists_of(self, count: int) -> int:
        lists = int(self.options["lists"]) or max(1, 4 * round(count**0.5))
        self.options["lists"] = self.codebook = min(count, lists)
        return self.codebook

    _sizes: NDArray[np.int64]
    """Vectors in each list, and a 0 for list -1; int64 (lists + 1,)."""

    def _count(self) -> None:
        held = self._faiss.invlists
        self._sizes = np.array([*(held.list_size(number) for number in range(self._faiss.nlist)), 0], np.int64)

    def _fill(self, codes: NDArray[np.uint8]) -> None:
        super()._fill(codes)
        self._count()

    def _insert(self, vectors: Vectors, rows: NDArray[np.int64]) -> None:
        super()._insert(vectors, rows)
        self._count()

    def _hold(self, path: Path, mmap: bool) -> None:
        super()._hold(path, mmap)
        self._count()

    def _codes(self) -> NDArray[np.uint8]:
        index, held = self._faiss, self._faiss.invlists
        prefix = index.coarse_code_size()
        codes = np.empty((index.ntotal, prefix + index.code_size), np.uint8)
        for number in np.flatnonzero(self._sizes).tolist():
            size = held.list_size(number)
            rows = faiss.rev_swig_ptr(held.get_ids(number), size)
            codes[rows, :prefix] = np.frombuffer(number.to_bytes(prefix, "little"), np.uint8)
            codes[rows, prefix:] = faiss.rev_swig_ptr(held.get_codes(number), size * index.code_size).reshape(size, -1)
        return codes

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        self._faiss.make_direct_map(True)
        try:
            return super()._decoded(rows.ravel()).reshape(*rows.shape, self.width)
        finally:
            self._faiss.make_direct_map(False)  # 8 bytes a vector, and part of the file

    def _search_block(
        self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any], threads: int
    ) -> Found:
        least, vectors = self._reach(knobs)
        lists, far, held = self._read(queries, np.maximum(vectors, n + (exclude >= 0)), least)

        def fetch(some: NDArray[np.int64], count: int) -> tuple[Vectors, NDArray[np.int64]]:
            self._faiss.nprobe = lists.shape[1]
            return self._measured(*self._faiss.search_preassigned(queries[some], count, lists[some], far[some]))

        rows, distances = settled(fetch, n, exclude, len(self))
        probes = (self._sizes[lists] > 0).sum(axis=1)
        return rows, distances, held - (exclude >= 0), probes

    def _read(
        self, queries: Vectors, vectors: NDArray[np.int64], least: int
    ) -> tuple[Lists, Vectors, NDArray[np.int64]]:
        """Return the lists each query reads, the distances of their centroids, and how many vectors they hold.

        Each reads at least ``least`` lists and ``vectors``, int64 (b,), of those that there are.
        """
        wanted = np.minimum(vectors, len(self))[:, None]
        every, count = int(self._faiss.nlist), min(least, int(self._faiss.nlist))
        while True:
            lists, far = self._order(queries, count)
            held = np.cumsum(self._sizes[lists], axis=1)
            if count == every or (held[:, -1:] >= wanted).all():
                break
            count = min(every, 4 * count)
        used = np.maximum(min(least, every), 1 + (held < wanted).sum(axis=1))
        lists[np.arange(count) >= used[:, None]] = -1
        last = np.take_along_axis(held, used[:, None] - 1, axis=1)[:, 0]
        return lists[:, : used.max()].copy(), far[:, : used.max()].copy(), last

    def _reach(self, knobs: Mapping[str, Any]) -> tuple[int, int]:
        """Return how many lists and how many vectors each query reads at least."""
        return int(max(1, min(knobs["nprobe"], self._faiss.nlist))), 0

    def _order(self, queries: Vectors, count: int) -> tuple[Lists, Vectors]:
        """Return the ``count`` nearest lists, and the distances of their centroids as faiss has them."""
        far, lists = self._faiss.quantizer.search(queries, count)
        return lists, far


class InvertedFlat(Inverted):
    """Whole vectors, compared exactly within the lists that are read."""

    name = "ivf-flat"

    def _factory(self, count: int) -> str:
        return f"IVF{self._lists_of(count)},Flat"


class InvertedProductCodes(Inverted):
    """Product codes of residuals to the list's centroid (Jégou, Douze and Schmid 2011).

    ``tables`` keeps what the tables of a query share, lists x parts x 1 KiB of memory: several times faster.
    """

    name = "ivf-pq"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"lists": 0, "parts": 0, "bits": 8, "tables": True}

    def _factory(self, count: int) -> str:
        bits = one_of(self.options["bits"], (4, 6, 8), "bits of the index ivf-pq")
        self.options["parts"] = parts_of(self.width, self.options["parts"])
        lists = self._lists_of(count)
        self.codebook = max(lists, 2**bits)
        return f"IVF{lists},PQ{self.options['parts']}x{bits}np"

    def _count(self) -> None:
        super()._count()
        self._faiss.use_precomputed_table = 0 if self.options["tables"] else -1
        self._faiss.precompute_table()

    def _bytes(self) -> int:
        return super()._bytes() + 4 * int(self._faiss.precomputed_table.size())
