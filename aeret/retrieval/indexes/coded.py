"""Indexes of one short code per vector, all of them compared with a query: ``pq``, ``opq``, ``sq``."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.embeddings.one_thread import one_thread
from aeret.progress import Progress
from aeret.retrieval.indexes.index import Block, Index, inserted
from aeret.retrieval.indexes.refine import refine
from aeret.retrieval.indexes.scoring import longest, rounding

_FILE = "codes.faiss"
_ENCODED_AT_ONCE = 65536


class Coded(Index):
    """Codes in a faiss index, in order of row. One of its kind makes and trains that index."""

    HOLDS = False

    _faiss: Any
    _longest: float
    """Length of the longest decoded vector."""

    @abstractmethod
    def _trained(self, vectors: Vectors, seed: int) -> Any:
        """Return an empty faiss index with codes, trained on prepared vectors (n, d)."""

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        with progress(f"train {self.name}", 1, unit="quantiser") as step:
            self._faiss = self._trained(vectors, seed)
            step(1)
        self._fill(self._encode(vectors))

    def _insert(self, vectors: Vectors, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._fill(inserted(self._codes(), self._encode(vectors), rows))

    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._fill(np.delete(self._codes(), rows, axis=0))

    def _fill(self, codes: NDArray[np.uint8]) -> None:
        self._faiss = _owned(self._faiss)
        self._faiss.reset()
        self._faiss.add_sa_codes(codes)
        parts = (codes[start : start + _ENCODED_AT_ONCE] for start in range(0, len(codes), _ENCODED_AT_ONCE))
        self._longest = max(longest(self._faiss.sa_decode(part)) for part in parts)

    def _encode(self, vectors: Vectors) -> NDArray[np.uint8]:
        parts = range(0, len(vectors), _ENCODED_AT_ONCE)
        none = np.empty((0, self._faiss.sa_code_size()), np.uint8)
        with one_thread():
            encoded = [self._faiss.sa_encode(vectors[start : start + _ENCODED_AT_ONCE]) for start in parts]
        return np.concatenate([none, *encoded])

    def _codes(self) -> NDArray[np.uint8]:
        size = self._faiss.sa_code_size()
        whole = faiss.rev_swig_ptr(self._faiss.codes.data(), self._faiss.ntotal * size)
        return np.asarray(whole).reshape(-1, size)

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        return np.asarray(self._faiss.sa_decode(np.ascontiguousarray(self._codes()[rows])))

    def _search_block(self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any]) -> Block:
        dot = self.metric == "dot"

        def fetch(some: NDArray[np.int64], wanted: int) -> tuple[Vectors, NDArray[np.int64]]:
            rough, rows = self._faiss.search(queries[some], wanted)
            return -rough if dot else rough, rows

        def decode(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Vectors]:
            return rows, self._decoded(rows)

        slack = rounding(self.width, np.linalg.norm(queries, axis=1) + 2 * self._longest)
        within = np.full(len(queries), len(self))
        with one_thread():
            rows, raw = refine(queries, n, exclude, within, fetch, decode, slack, dot)
        return rows, raw, len(self) - (exclude >= 0).astype(np.int64), np.zeros(len(queries), np.int64)

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"longest": np.array(self._longest)}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._longest = float(state["longest"])

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        faiss.write_index(self._faiss, str(folder / _FILE))

    def _read(self, folder: Path, mmap: bool) -> None:
        super()._read(folder, mmap)
        self._faiss = faiss.read_index(str(folder / _FILE), faiss.IO_FLAG_MMAP_IFC if mmap else 0)
        if self._faiss.ntotal != len(self):
            raise ValueError(f"{self._faiss.ntotal} codes for {len(self)} ids")

    def _bytes(self) -> int:
        return super()._bytes() + self._codes().nbytes + self._quantiser_bytes()

    @abstractmethod
    def _quantiser_bytes(self) -> int:
        """Return the memory of what was trained."""


def _owned(index: Any) -> Any:
    """Return a faiss index whose arrays can grow: those of a memory-mapped one cannot, and faiss would abort."""
    return index if index.codes.is_owned else faiss.deserialize_index(faiss.serialize_index(index))


def faiss_metric(metric: str) -> int:
    """Return the metric of faiss; cosine is Euclidean on vectors of unit length."""
    return int(faiss.METRIC_INNER_PRODUCT if metric == "dot" else faiss.METRIC_L2)
