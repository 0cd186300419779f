"""Inverted lists of whole vectors."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.retrieval.indexes.coded import faiss_metric
from aeret.retrieval.indexes.inverted import Inverted


class InvertedFlat(Inverted):
    """Exact within the ``nprobe`` lists that are read."""

    name = "ivf-flat"

    def _trained(self, quantizer: Any, vectors: Vectors, seed: int) -> Any:
        lists = len(self._centroids)
        index = faiss.IndexIVFFlat(quantizer, self.width, lists, faiss_metric(self.metric))
        index.is_trained = True
        return index

    def _decode_codes(self, codes: NDArray[np.uint8], lists: NDArray[np.int64]) -> Vectors:
        return np.ascontiguousarray(codes).view(np.float32)
