"""Order the gallery for blocks of queries: by a search, by distance, or by one fixed order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.distances import Vectors, checked, squared_distances
from aeret.errors import UsageError
from aeret.retrieval.ranking import Ranking

Rows = NDArray[np.int64]
_Order = tuple[Rows, NDArray[np.bool_] | None]


class Orders(Protocol):
    """Results of queries, made block by block."""

    @property
    def queries(self) -> int:
        """Number of queries."""
        ...

    @property
    def results(self) -> int:
        """Largest number of results of a query."""
        ...

    @property
    def whole(self) -> bool:
        """Whether every order holds the whole gallery."""
        ...

    @property
    def has_distances(self) -> bool:
        """Whether ties can be told."""
        ...

    def block(self, start: int, stop: int, own: Rows) -> _Order:
        """Return the results of some queries.

        Args:
            start: first query.
            stop: last query, exclusive.
            own: gallery row of each query, which goes last, or -1; int64 (b,).

        Returns:
            Gallery rows in order, int64 (b, N); and whether each is as far as the one before it, bool (b, N), or None
            without distances.
        """
        ...


@dataclass(frozen=True)
class Listed:
    """Rankings that a search returned."""

    ranking: Ranking
    whole = False
    has_distances = True

    @property
    def queries(self) -> int:
        """Number of queries."""
        return len(self.ranking)

    @property
    def results(self) -> int:
        """Results of each query."""
        return int(self.ranking.rows.shape[1])

    def block(self, start: int, stop: int, own: Rows) -> _Order:
        """Return the results of some queries (see :class:`Orders`)."""
        rows, distances = self.ranking.rows[start:stop], self.ranking.distances[start:stop]
        itself = rows == own[:, None]
        order = np.argsort(itself, axis=1, kind="stable")
        rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
        return rows, _tied(distances, itself.any(axis=1))


@dataclass(frozen=True)
class FixedOrder:
    """One order of the whole gallery for all queries, int32 (g,)."""

    order: NDArray[np.int32]
    queries: int
    whole = True
    has_distances = False

    @property
    def results(self) -> int:
        """Photos of the gallery."""
        return len(self.order)

    def block(self, start: int, stop: int, own: Rows) -> _Order:
        """Return the order once per query (see :class:`Orders`)."""
        rows = np.broadcast_to(self.order.astype(np.int64), (stop - start, len(self.order)))
        order = np.argsort(rows == own[:, None], axis=1, kind="stable")
        return np.take_along_axis(rows, order, axis=1), None


class WholeGallery:
    """Every query's order of the whole gallery by distance."""

    whole = True
    has_distances = True

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

    @property
    def queries(self) -> int:
        """Number of queries."""
        return len(self._queries)

    @property
    def results(self) -> int:
        """Photos of the gallery."""
        return len(self._gallery)

    def block(self, start: int, stop: int, own: Rows) -> _Order:
        """Return the orders of some queries (see :class:`Orders`)."""
        asked = self._queries[start:stop]
        rows, distances = _by_distance(squared_distances(asked, self._gallery), own)
        if self._clustering is None:
            return rows, _tied(distances, own >= 0)
        visits = np.argsort(squared_distances(asked, self._clustering.centroids), axis=1, kind="stable")
        places = np.argsort(visits, axis=1)
        cluster = np.take_along_axis(places, self._clustering.assignment[rows].astype(np.int64), axis=1)
        cluster[np.flatnonzero(own >= 0), -1] = len(self._clustering.centroids)
        order = np.argsort(cluster, axis=1, kind="stable")
        tied = _tied(np.take_along_axis(distances, order, axis=1), own >= 0)
        return np.take_along_axis(rows, order, axis=1), tied


class WholeCodes:
    """Every query's order of a whole gallery of binary codes by Hamming distance."""

    whole = True
    has_distances = True

    def __init__(self, queries: NDArray[np.bool_], gallery: NDArray[np.bool_]) -> None:
        """Take codes, bool (q, bits) and (g, bits).

        Raises:
            UsageError: the codes do not fit each other.
        """
        if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
            raise UsageError(
                f"Codes must be bool (n, bits), as wide on both sides; got {queries.shape} and {gallery.shape}."
            )
        self._queries, self._gallery = (np.where(codes, 1, -1).astype(np.float32) for codes in (queries, gallery))

    @property
    def queries(self) -> int:
        """Number of queries."""
        return len(self._queries)

    @property
    def results(self) -> int:
        """Codes of the gallery."""
        return len(self._gallery)

    def block(self, start: int, stop: int, own: Rows) -> _Order:
        """Return the orders of some queries (see :class:`Orders`)."""
        # The product of signs is exact in float32: bits that agree minus bits that differ.
        rows, distances = _by_distance(-(self._queries[start:stop] @ self._gallery.T), own)
        return rows, _tied(distances, own >= 0)


def _by_distance(distances: Vectors, own: Rows) -> tuple[Rows, Vectors]:
    """Sort the gallery by distances (b, g), which this overwrites: ties by row, the query itself last."""
    known = own >= 0
    distances[np.flatnonzero(known), own[known]] = np.inf
    rows = np.argsort(distances, axis=1, kind="stable")
    return rows, np.take_along_axis(distances, rows, axis=1)


def _tied(distances: NDArray[Any], own_last: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return whether each result is as far as the one before it; the query itself ties with nothing."""
    tied = np.zeros(distances.shape, bool)
    np.equal(distances[:, 1:], distances[:, :-1], out=tied[:, 1:])
    tied[own_last, -1:] = False
    return tied
