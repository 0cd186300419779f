"""Wrap an index of faiss: rows in ascending order of id, ties by id, changes, files."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.progress import Progress
from aeret.retrieval.indexes.checks import inserted
from aeret.retrieval.indexes.files import write_faiss
from aeret.retrieval.indexes.index import Found, Index
from aeret.retrieval.indexes.training import train

_faiss: Any = faiss  # whose stubs lack some of its names
Fetch = Callable[[NDArray[np.int64], int], tuple[Vectors, NDArray[np.int64]]]
"""Queries of the block int64 (s,) and results wanted -> rising distances float32 and rows int64, both (s, wanted);
row -1 once there are no more."""


class FaissIndex(Index):
    """Hold vectors in an index that faiss makes of a factory string, each under its row number."""

    codebook = 0
    """Centroids of the largest codebook that is trained."""
    _faiss: Any

    @abstractmethod
    def _factory(self, count: int) -> str:
        """Return the factory string for ``count`` vectors, with all options chosen and checked."""

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        with progress(f"build {self.name}", 2, unit="step") as step:
            self._faiss = self._made(vectors, seed)
            step(1)
            self._fill(self._encode(vectors))
            step(1)

    def _made(self, vectors: Vectors, seed: int) -> Any:
        """Return an empty index, trained."""
        metric = faiss.METRIC_INNER_PRODUCT if self.metric == "dot" else faiss.METRIC_L2
        index = faiss.index_factory(self.width, self._factory(len(vectors)), metric)
        train(index, vectors, self.codebook, seed, self.name)
        return index

    def _insert(self, vectors: Vectors, rows: NDArray[np.int64]) -> None:
        self._own()
        if rows[0] == self._faiss.ntotal:
            self._faiss.add(vectors)
        else:
            self._fill(inserted(self._codes(), self._encode(vectors), rows))

    def _delete(self, rows: NDArray[np.int64]) -> None:
        self._own()
        self._fill(np.delete(self._codes(), rows, axis=0))

    # Rows are renumbered by taking all codes, uint8 (n, bytes), out and putting them back; nothing is encoded again.

    def _encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        return np.asarray(self._faiss.sa_encode(vectors))

    def _codes(self) -> NDArray[np.uint8]:
        """Return a copy of all codes in order of row."""
        base = self._base()
        return faiss.rev_swig_ptr(base.codes.data(), base.ntotal * base.code_size).reshape(base.ntotal, -1).copy()

    def _fill(self, codes: NDArray[np.uint8]) -> None:
        """Replace all codes."""
        base = self._base()
        self._faiss.reset()
        base.add_sa_codes(np.ascontiguousarray(codes))
        self._faiss.ntotal = base.ntotal  # an index behind a transform counts for itself

    def _base(self) -> Any:
        """Return the index that holds the codes."""
        index = self._faiss
        return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        return np.asarray(self._faiss.reconstruct_batch(rows)).reshape(*rows.shape, self.width)

    def _search_block(
        self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any], threads: int
    ) -> Found:
        def fetch(some: NDArray[np.int64], wanted: int) -> tuple[Vectors, NDArray[np.int64]]:
            return self._measured(*self._faiss.search(queries[some], wanted))

        rows, distances = settled(fetch, n, exclude, len(self))
        return rows, distances, len(self) - (exclude >= 0), np.zeros(len(queries), np.int64)

    def _measured(self, far: Vectors, rows: NDArray[np.int64]) -> tuple[Vectors, NDArray[np.int64]]:
        # Squares that faiss sums from tables may come out a little below 0.
        return self._distances(-far if self.metric == "dot" else np.maximum(far, 0)), rows

    def _held(self) -> Any:
        return self._faiss

    _mapped = False

    def _hold(self, path: Path, mmap: bool) -> None:
        self._mapped = mmap
        self._faiss = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC if mmap else 0)
        if self._faiss.ntotal != len(self):
            raise ValueError(f"{self._faiss.ntotal} codes for {len(self)} ids")

    def _own(self) -> None:
        """Copy what is memory-mapped: it cannot grow, and faiss would abort."""
        if self._mapped:
            self._faiss, self._mapped = faiss.deserialize_index(faiss.serialize_index(self._faiss)), False

    def _bytes(self) -> int:
        sizes: list[int] = []
        write_faiss(self._faiss, _faiss.PyCallbackIOWriter(lambda part: sizes.append(len(part))))
        return super()._bytes() + sum(sizes)


def settled(fetch: Fetch, n: int, exclude: NDArray[np.int64], most: int) -> tuple[NDArray[np.int64], Vectors]:
    """Return rows int64 (b, n) and distances float32 (b, n) without the ``exclude``-d row or -1 of each; ties by row.

    Of ``most`` candidates, a few more than are wanted are fetched, and more while the last ties with the last result.
    """
    rows, distances = np.empty((len(exclude), n), np.int64), np.empty((len(exclude), n), np.float32)
    left, wanted = np.arange(len(exclude)), n + n // 4 + 2
    while len(left):
        wanted = min(wanted, most)
        far, found = fetch(left, wanted)
        last, full = far[:, -1], found[:, -1] >= 0
        far = np.where((found < 0) | (found == exclude[left, None]), np.inf, far)
        order = np.lexsort((found, far))[:, :n]
        rows[left], distances[left] = np.take_along_axis(found, order, axis=1), np.take_along_axis(far, order, axis=1)
        left, wanted = left[(last <= distances[left, -1]) & full & (wanted < most)], 4 * wanted
    return rows, distances
