"""Order the gallery for blocks of queries: by a search, by distance, or by one fixed order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.distances import Vectors, checked, squared_distances
from aeret.errors import UsageError
from aeret.retrieval.ranking import Ranking

Rows = NDArray[np.int64]
Order = tuple[Rows, NDArray[np.bool_] | None]
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


class Orders(ABC):
    """Results of ``queries`` queries, at most ``results`` each, made block by block."""

    has_distances = True
    """Whether ties can be told."""

    def __init__(self, queries: int, results: int) -> None:
        self.queries, self.results = queries, results

    @abstractmethod
    def block(self, start: int, stop: int, own: Rows) -> Order:
        """Return the results of some queries.

        Args:
            start: first query.
            stop: last query, exclusive.
            own: gallery row of each query, which goes last, or -1; int64 (b,).

        Returns:
            Gallery rows in order, int64 (b, N); and whether each is as far as the one before it, bool (b, N), or None
            without distances.
        """


class Listed(Orders):
    """Rankings that a search returned."""

    def __init__(self, ranking: Ranking) -> None:
        super().__init__(*ranking.rows.shape)
        self.ranking = ranking

    def block(self, start: int, stop: int, own: Rows) -> Order:
        """Return the results of some queries (see :class:`Orders`)."""
        rows, distances = self.ranking.rows[start:stop], self.ranking.distances[start:stop]
        itself = rows == own[:, None]
        order = np.argsort(itself, axis=1, kind="stable")
        rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
        return rows, _tied(distances, itself.any(axis=1))


class FixedOrder(Orders):
    """One order of the whole gallery for all queries."""

    has_distances = False

    def __init__(self, order: NDArray[np.int32], queries: int) -> None:
        """Take the gallery rows in order, int32 (g,)."""
        super().__init__(queries, len(order))
        self._order = order.astype(np.int64)

    def block(self, start: int, stop: int, own: Rows) -> Order:
        """Return the order once per query (see :class:`Orders`)."""
        return self._order[np.argsort(self._order == own[:, None], axis=1, kind="stable")], None


class WholeGallery(Orders):
    """Every query's order of the whole gallery by Euclidean distance."""

    def __init__(self, queries: Vectors, gallery: Vectors, clustering: Clustering | None = None) -> None:
        """Check the vectors.

        Args:
            queries: float32 (q, d).
            gallery: float32 (g, d).
            clustering: of the gallery; orders are then those of a strict cluster-first search.

        Raises:
            UsageError: the vectors do not fit each other or are not finite.
        """
        self._gallery = checked(gallery, "Gallery vectors")
        self._queries = checked(queries, "Query vectors", self._gallery.shape[1])
        self._clustering = clustering
        super().__init__(len(self._queries), len(self._gallery))

    def block(self, start: int, stop: int, own: Rows) -> Order:
        """Return the orders of some queries (see :class:`Orders`)."""
        asked, known = self._queries[start:stop], np.flatnonzero(own >= 0)
        distances = squared_distances(asked, self._gallery)
        distances[known, own[known]] = np.inf
        # The bits of floats that are not negative order like the floats.
        rows = _sorted(distances.view(np.uint32))
        if self._clustering is not None:
            visits = np.argsort(squared_distances(asked, self._clustering.centroids), axis=1, kind="stable")
            places = np.argsort(visits, axis=1).astype(np.uint32)
            cluster = np.take_along_axis(places, self._clustering.assignment[rows].astype(np.int64), axis=1)
            cluster[known, -1] = len(self._clustering.centroids)
            rows = np.take_along_axis(rows, _sorted(cluster), axis=1)
        return rows, _tied(np.take_along_axis(distances, rows, axis=1), own >= 0)


class WholeCodes(WholeGallery):
    """Every query's order of a whole gallery of binary codes by Hamming distance."""

    def __init__(self, queries: NDArray[np.bool_], gallery: NDArray[np.bool_]) -> None:
        """Take codes, bool (q, bits) and (g, bits).

        Raises:
            UsageError: the codes do not fit each other.
        """
        if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
            raise UsageError(
                f"Codes must be bool (n, bits), as wide on both sides; got {queries.shape} and {gallery.shape}."
            )
        # Between zeros and ones the squared distance is the number of bits that differ, exactly.
        super().__init__(queries.astype(np.float32), gallery.astype(np.float32))


def _sorted(keys: NDArray[np.uint32]) -> Rows:
    """Return the columns of each row by rising key, ties by column, int64 (b, g): a sort of pairs in one word."""
    pairs = keys.astype(np.uint64) << _HALF | np.arange(keys.shape[1], dtype=np.uint64)
    pairs.sort(axis=1)
    pairs &= _LOW
    return pairs.view(np.int64)


def _tied(distances: NDArray[Any], own_last: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether each result is as far as the one before it; the query itself ties with nothing."""
    tied = np.zeros(distances.shape, bool)
    np.equal(distances[:, 1:], distances[:, :-1], out=tied[:, 1:])
    tied[own_last, -1:] = False
    return tied
