"""Scalar quantisation: each dimension is rounded to 8 or 4 bits between its least and largest training value."""

from __future__ import annotations

from typing import Any

import faiss

from aeret.embeddings.distances import Vectors
from aeret.embeddings.one_thread import one_thread
from aeret.retrieval.indexes.coded import Coded, faiss_metric
from aeret.retrieval.indexes.training import bits_of, sample

_SAMPLE = 100_000


class ScalarCodes(Coded):
    """A number of ``bits`` bits for each dimension."""

    name = "sq"
    OPTIONS = {"bits": 8}

    def _trained(self, vectors: Vectors, seed: int) -> Any:
        bits = bits_of(self.options["bits"], (4, 8), self.name)
        kind = faiss.ScalarQuantizer.QT_8bit if bits == 8 else faiss.ScalarQuantizer.QT_4bit
        index = faiss.IndexScalarQuantizer(self.width, kind, faiss_metric(self.metric))
        with one_thread():
            index.train(sample(vectors, 1, _SAMPLE, seed, self.name))
        return index

    def _quantiser_bytes(self) -> int:
        return int(self._faiss.sq.trained.size()) * 4
