"""Whole-gallery orders by distance of real-valued vectors, made block by block."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.distances import Vectors, checked
from aeret.embeddings.products import Scratch, squared_by_products, squared_norms
from aeret.evaluation.metrics.judge import Bytes, Judge, Judged
from aeret.evaluation.metrics.sources import Block, Ordered, Ties, ties
from aeret.retrieval.full_order import cluster_ranks, flags_in_order, full_order


class WholeGallery:
    """Every query's order of the whole gallery by distance; with clusters, that of a strict cluster-first search."""

    has_distances = True
    tie_bytes = 25

    def __init__(self, queries: Vectors, gallery: Vectors, clustering: Clustering | None = None) -> None:
        """Check the vectors.

        Args:
            queries: float32 (q, d).
            gallery: float32 (g, d).
            clustering: of the gallery.

        Raises:
            UsageError: the vectors do not fit each other or are no finite numbers.
        """
        self._gallery = checked(gallery, "Gallery vectors")
        self._queries = checked(queries, "Query vectors", self._gallery.shape[1])
        self._norms = squared_norms(self._gallery)
        self._clustering = clustering

    @property
    def queries(self) -> int:
        """How many queries there are."""
        return len(self._queries)

    @property
    def results(self) -> int:
        """Photos of the gallery."""
        return len(self._gallery)

    def pair_bytes(self, rows: bool, hits: bool) -> int:
        """Return 4 for distances, and 5 for the order, which without clusters is made only when it is wanted."""
        return 9 if rows or self._clustering is not None else 4

    def block(self, judge: Judge, start: int, stop: int, scratch: Scratch) -> Block:
        """Return the orders of queries ``start`` to ``stop``, the query itself last."""
        asked, own = self._queries[start:stop], judge.truth.exclude[start:stop]
        filled = squared_by_products(asked, self._gallery, self._norms, scratch)
        if self._clustering is None:
            return _Distances(filled, self.results, own)
        ranks = cluster_ranks(asked, self._clustering.centroids)
        order = full_order(filled, ranks, self._clustering.assignment, own, self.results)
        return Ordered(order, lambda: ties(np.take_along_axis(filled, order, axis=1), own >= 0), whole=True)


class _Distances:
    """A block of distances to the whole gallery: hits are sorted with them, rows only where they are wanted."""

    def __init__(self, filled: Vectors, results: int, own: NDArray[np.int64]) -> None:
        self._filled, self._results, self._own = filled, results, own

    @cached_property
    def _ordered(self) -> Ordered:
        filled, own = self._filled, self._own
        order = full_order(filled, last=own, rows=self._results)
        return Ordered(order, lambda: ties(np.take_along_axis(filled, order, axis=1), own >= 0), whole=True)

    def hits(self, judged: Judged) -> Bytes:
        return flags_in_order(self._filled.view(np.uint32), judged.whole(), judged.owners, self._own)

    def tied_hits(self, judged: Judged) -> Ties:
        return self._ordered.tied_hits(judged)

    def rows(self, top: int) -> NDArray[np.int64]:
        return self._ordered.rows(top)

    def tied_rows(self, top: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        return self._ordered.tied_rows(top)
