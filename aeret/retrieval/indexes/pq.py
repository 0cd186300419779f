"""Product quantisation (Jégou, Douze and Schmid 2011): each part of a vector is coded by its nearest centroid."""

from __future__ import annotations

from typing import Any

import faiss

from aeret.embeddings.distances import Vectors
from aeret.retrieval.indexes.coded import Coded, faiss_metric
from aeret.retrieval.indexes.training import bits_of, parts_of, train_product


class ProductCodes(Coded):
    """``parts`` codes of ``bits`` bits a vector, compared through tables of the query's distances to the centroids."""

    name = "pq"
    OPTIONS = {"parts": 0, "bits": 8}

    def _trained(self, vectors: Vectors, seed: int) -> Any:
        bits = bits_of(self.options["bits"], (4, 6, 8), self.name)
        self.options["parts"] = parts_of(self.width, self.options["parts"])
        index = faiss.IndexPQ(self.width, self.options["parts"], bits, faiss_metric(self.metric))
        train_product(index, vectors, seed, self.name)
        return index

    def _quantiser_bytes(self) -> int:
        return int(self._faiss.pq.centroids.size()) * 4
