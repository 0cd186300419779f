"""Search whole vectors through a graph or through hashes: ``hnsw`` and ``lsh``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, faiss_threads
from aeret.retrieval.indexes.checks import within
from aeret.retrieval.indexes.faiss_index import FaissIndex, settled
from aeret.retrieval.indexes.index import EVERYTHING, Found

_faiss: Any = faiss  # whose stubs lack some of its names


class WholeVectors(FaissIndex):
    """Keep whole vectors beside a structure; only what is added at the end is added without building it anew."""

    @abstractmethod
    def _store(self) -> Any:
        """Return the flat index inside that holds the vectors."""

    def _encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        return np.ascontiguousarray(vectors).view(np.uint8)

    def _codes(self) -> NDArray[np.uint8]:
        return np.asarray(self._store().reconstruct_n(0, self._faiss.ntotal)).view(np.uint8)

    def _insert(self, vectors: Vectors, rows: NDArray[np.int64]) -> None:
        with faiss_threads(1):  # the order in which threads link vectors decides the graph
            super()._insert(vectors, rows)

    def _fill(self, codes: NDArray[np.uint8]) -> None:
        self._faiss.reset()
        with faiss_threads(1):
            self._faiss.add(np.ascontiguousarray(codes).view(np.float32))

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        return np.asarray(self._store().reconstruct_batch(rows.ravel())).reshape(*rows.shape, self.width)


class Hnsw(WholeVectors):
    """Walk a graph of neighbours in layers (Malkov and Yashunin 2016); ``ef`` candidates are kept on the way.

    ``scanned`` is the mean over a block of queries. ``links`` is the neighbours of a vector, ``breadth`` the candidates
    of the build. Removing vectors, or adding them between others, builds the graph anew, on one thread.
    """

    name = "hnsw"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"links": 32, "breadth": 40}
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {"ef": (16, 32, 64, 128, 256, 512, EVERYTHING)}
    """The last one compares all vectors, without the graph."""
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {"ef": 64}

    def _factory(self, count: int) -> str:
        return f"HNSW{within(self.options['links'], 2, 512, 'links of the index hnsw')}"

    def _made(self, vectors: Vectors, seed: int) -> Any:
        index = super()._made(vectors, seed)
        index.hnsw.efConstruction = within(self.options["breadth"], 1, 65_536, "breadth of the index hnsw")
        return index

    def _store(self) -> Any:
        return faiss.downcast_index(self._faiss.storage)

    def _search_block(
        self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any], threads: int
    ) -> Found:
        store, ef, most = self._store(), max(1, knobs["ef"]), len(self) - (exclude >= 0)
        compared = np.full(len(queries), most, np.int64)

        def fetch(some: NDArray[np.int64], wanted: int) -> tuple[Vectors, NDArray[np.int64]]:
            if ef >= len(self):
                return self._measured(*store.search(queries[some], wanted))
            _faiss.cvar.hnsw_stats.reset()
            reach = _faiss.SearchParametersHNSW(efSearch=max(int(ef), wanted))
            far, rows = self._faiss.search(queries[some], wanted, params=reach)
            compared[some] = max(n, _faiss.cvar.hnsw_stats.ndis // len(some))
            # Parts of a graph may be out of reach, as of many equal vectors.
            cut = (rows < 0).any(axis=1)
            if cut.any():
                far[cut], rows[cut] = store.search(queries[some[cut]], wanted)
                compared[some[cut]] = len(self)
            return self._measured(far, rows)

        rows, distances = settled(fetch, n, exclude, len(self))
        return rows, distances, np.minimum(compared, most), np.zeros(len(queries), np.int64)


class Lsh(WholeVectors):
    """Hash vectors by random hyperplanes (Charikar 2002); the vectors of the nearest hashes are compared.

    ``bits`` of a hash are by default four per dimension, 1,024 at most; ``candidates`` is how many vectors are compared
    for each one wanted.
    """

    name = "lsh"
    METRICS = ("cosine", "euclidean")
    OPTIONS: ClassVar[Mapping[str, Any]] = {"bits": 0}
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {"candidates": (1, 2, 4, 8, 16, 32, 64, EVERYTHING)}
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {"candidates": 8}

    def _factory(self, count: int) -> str:
        bits = int(self.options["bits"]) or min(1024, 4 * self.width)
        self.options["bits"] = within(bits, 1, 65_528, "bits of the index lsh")
        # Hyperplanes through the medians: through the origin, vectors that are all positive would share few hashes.
        return f"LSH{bits}rt,RFlat"

    def _store(self) -> Any:
        return faiss.downcast_index(self._faiss.refine_index)

    def _search_block(
        self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any], threads: int
    ) -> Found:
        compared = np.zeros(len(queries), np.int64)

        def fetch(some: NDArray[np.int64], wanted: int) -> tuple[Vectors, NDArray[np.int64]]:
            compared[some] = int(min(max(wanted * max(1, knobs["candidates"]), wanted), len(self)))
            self._faiss.k_factor = compared[some[0]] / wanted
            return self._measured(*self._faiss.search(queries[some], wanted))

        rows, distances = settled(fetch, n, exclude, len(self))
        return rows, distances, np.minimum(compared, len(self) - (exclude >= 0)), np.zeros(len(queries), np.int64)
