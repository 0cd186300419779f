"""Inverted lists of product codes of residuals: what a vector is beside its list's centroid (Jégou et al. 2011)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.retrieval.indexes.coded import faiss_metric
from aeret.retrieval.indexes.inverted import Inverted
from aeret.retrieval.indexes.training import bits_of, parts_of, train_product


class InvertedProductCodes(Inverted):
    """``parts`` codes of ``bits`` bits a vector.

    ``tables`` keeps what the tables of a query share, lists x parts x 1 KiB of memory: several times faster.
    """

    name = "ivf-pq"
    OPTIONS = {"lists": 0, "parts": 0, "bits": 8, "tables": True}

    def _trained(self, quantizer: Any, vectors: Vectors, seed: int) -> Any:
        bits = bits_of(self.options["bits"], (4, 6, 8), self.name)
        self.options["parts"] = parts_of(self.width, self.options["parts"])
        lists = len(self._centroids)
        index = faiss.IndexIVFPQ(quantizer, self.width, lists, self.options["parts"], bits, faiss_metric(self.metric))
        index.use_precomputed_table = 0 if self.options["tables"] else -1
        train_product(index, vectors, seed, self.name)
        return index

    def _decode_codes(self, codes: NDArray[np.uint8], lists: NDArray[np.int64]) -> Vectors:
        return np.asarray(self._faiss.pq.decode(np.ascontiguousarray(codes))) + self._centroids[lists]

    def _own(self) -> None:
        super()._own()
        self._tabulate()

    def _read(self, folder: Path, mmap: bool) -> None:
        super()._read(folder, mmap)
        self._tabulate()

    def _tabulate(self) -> None:
        if not self.options["tables"]:
            self._faiss.use_precomputed_table = -1
        elif self.metric != "dot" and not self._faiss.precomputed_table.size():
            self._faiss.use_precomputed_table = 0
            self._faiss.precompute_table()

    def _bytes(self) -> int:
        return super()._bytes() + 4 * int(self._faiss.pq.centroids.size() + self._faiss.precomputed_table.size())
