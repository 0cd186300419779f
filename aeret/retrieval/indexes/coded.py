"""Search short codes of vectors, all of them compared with a query: ``pq``, ``opq``, ``vq``, ``sq``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from aeret.errors import UsageError
from aeret.retrieval.indexes.checks import one_of, parts_of
from aeret.retrieval.indexes.faiss_index import FaissIndex

_MOST_CODES = 2**16


class ProductCodes(FaissIndex):
    """Code each of ``parts`` parts of a vector by its nearest centroid (Jégou, Douze and Schmid 2011)."""

    name = "pq"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"parts": 0, "bits": 8}

    def _factory(self, count: int) -> str:
        bits = one_of(self.options["bits"], (4, 6, 8), f"bits of the index {self.name}")
        self.options["parts"] = parts_of(self.width, self.options["parts"])
        self.codebook = 2**bits
        return f"PQ{self.options['parts']}x{bits}np"


class RotatedCodes(ProductCodes):
    """Rotate vectors so that product codes lose the least (Ge, He, Ke and Sun 2013)."""

    name = "opq"

    def _factory(self, count: int) -> str:
        codes = super()._factory(count)
        return f"OPQ{self.options['parts']},{codes}"


class VectorCodes(FaissIndex):
    """Code a vector by the nearest of ``codes`` centroids, a power of two; vectors of one code go by id."""

    name = "vq"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"codes": 0}

    def _factory(self, count: int) -> str:
        codes = int(self.options["codes"]) or min(_MOST_CODES, 1 << (4 * round(count**0.5)).bit_length())
        if not (2 <= codes <= _MOST_CODES and codes & (codes - 1) == 0):
            raise UsageError(f"codes of the index vq must be a power of two from 2 to {_MOST_CODES}, got {codes}.")
        self.options["codes"] = self.codebook = codes
        return f"PQ1x{codes.bit_length() - 1}np"


class ScalarCodes(FaissIndex):
    """Round each dimension to ``bits`` bits between its least and largest training value."""

    name = "sq"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"bits": 8}

    def _factory(self, count: int) -> str:
        return f"SQ{one_of(self.options['bits'], (4, 8), 'bits of the index sq')}"
