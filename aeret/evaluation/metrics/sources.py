"""Where ranked results come from: a search's ranking, or orders of a whole gallery that are made block by block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.distances import Vectors, checked
from aeret.embeddings.products import Room, squared_by_products, squared_norms
from aeret.errors import UsageError
from aeret.evaluation.metrics.judge import Bytes, Judge, Judged
from aeret.evaluation.metrics.ranked import Values
from aeret.retrieval.bits import ones
from aeret.retrieval.full_order import cluster_ranks, flags_in_order, full_order, order_of_bits
from aeret.retrieval.ranking import Ranking

_TILE = 4096
"""Codes whose distances to a query stay in the cache until they are counted."""

Sizes = NDArray[np.int32]
Ties = tuple[Sizes, NDArray[np.int32]]


class Block(Protocol):
    """The results of some consecutive queries."""

    def hits(self, judged: Judged) -> Bytes:
        """Return the hits in order, uint8 (p, N)."""
        ...

    def tied_hits(self, judged: Judged) -> Ties:
        """Return the results and the hits of each group of ties, int32 (p, T) both."""
        ...

    def rows(self, top: int) -> NDArray[np.int64]:
        """Return the first rows of the gallery in order, int64 (b, min(top, N))."""
        ...

    def tied_rows(self, top: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return rows in order up to the end of the tie that holds rank ``top``, and what ties with the row before."""
        ...


class Source(Protocol):
    """Results of queries, a block at a time."""

    @property
    def queries(self) -> int:
        """How many queries there are."""
        ...

    @property
    def results(self) -> int:
        """Results of each query at most."""
        ...

    @property
    def has_distances(self) -> bool:
        """Whether ties can be seen."""
        ...

    def pair_bytes(self, ordered: bool) -> int:
        """Return the bytes that a block holds for each query and result, judgements not counted.

        Args:
            ordered: whether rows or ties are wanted too, or only the hits in order.
        """
        ...

    def block(self, judge: Judge, start: int, stop: int, room: Room) -> Block:
        """Return the results of queries ``start`` to ``stop``; they are lost when ``room`` is used again."""
        ...


class Ordered:
    """A block of results in order."""

    def __init__(self, rows: NDArray[np.integer], tied: Callable[[], NDArray[np.bool_]], whole: bool) -> None:
        """Take the results.

        Args:
            rows: of the gallery, int (b, N).
            tied: gives what is exactly as far as the result before it, bool (b, N).
            whole: whether the rows are the whole gallery: hits are then found in its own order and carried over.
        """
        self._rows, self._tied_with, self._whole = rows, tied, whole

    @cached_property
    def _tied(self) -> NDArray[np.bool_]:
        return self._tied_with()

    def hits(self, judged: Judged) -> Bytes:
        """Return the hits in order."""
        if not self._whole:
            return judged.at(self._rows.astype(np.int64, copy=False))
        hits = judged.whole()
        out = np.empty_like(hits)
        _carry(hits, judged.owners, self._rows, out)
        return out

    def tied_hits(self, judged: Judged) -> Ties:
        """Return the results and hits of each tie."""
        hits = self.hits(judged)
        sizes, sums = np.zeros(hits.shape, np.int32), np.zeros(hits.shape, np.int32)
        _groups(hits, self._tied, judged.owners, sizes, sums)
        longest = max(1, int(np.count_nonzero(sizes, axis=1).max(initial=0)))
        return np.ascontiguousarray(sizes[:, :longest]), np.ascontiguousarray(sums[:, :longest])

    def rows(self, top: int) -> NDArray[np.int64]:
        """Return the first rows."""
        return np.ascontiguousarray(self._rows[:, :top], np.int64)

    def tied_rows(self, top: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the first rows, and what ties with the row before."""
        loose = ~self._tied[:, top:]
        ends = np.where(loose.any(axis=1), loose.argmax(axis=1), loose.shape[1]) if loose.shape[1] else np.zeros(1, int)
        width = top + int(ends.max(initial=0))
        return self.rows(width), self._tied[:, :width]


@dataclass(frozen=True)
class Listed:
    """The ranking of a search."""

    ranking: Ranking
    has_distances = True

    @property
    def queries(self) -> int:
        """How many queries there are."""
        return len(self.ranking)

    @property
    def results(self) -> int:
        """Results of each query."""
        return int(self.ranking.rows.shape[1])

    def pair_bytes(self, ordered: bool) -> int:
        """Return 32: rows and distances, and again where the query itself is moved to the end."""
        return 32

    def block(self, judge: Judge, start: int, stop: int, room: Room) -> Block:
        """Return the results of queries ``start`` to ``stop``, the query itself moved to the end where it is found."""
        rows, distances = self.ranking.rows[start:stop], self.ranking.distances[start:stop]
        own = rows == judge.truth.exclude[start:stop, None]
        found = own.any(axis=1)
        if found.any():
            order = np.argsort(own, axis=1, kind="stable")
            rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
        return Ordered(rows, lambda: _ties(distances, found), whole=False)


@dataclass(frozen=True)
class FixedOrder:
    """One order of the whole gallery for all queries."""

    order: NDArray[np.int32]
    """Gallery rows, int32 (g,)."""
    queries: int
    has_distances = False

    @property
    def results(self) -> int:
        """Photos of the gallery."""
        return len(self.order)

    def pair_bytes(self, ordered: bool) -> int:
        """Return 12: the order of each query, and as 64-bit rows."""
        return 12

    def block(self, judge: Judge, start: int, stop: int, room: Room) -> Block:
        """Return the order once for each query, the query itself moved to the end."""
        rows = np.empty((stop - start, len(self.order)), np.int32)
        _own_last(self.order, judge.truth.exclude[start:stop], rows)
        return Ordered(rows, lambda: np.zeros(rows.shape, bool), whole=True)


class WholeGallery:
    """Every query's order of the whole gallery by distance; with clusters, that of a strict cluster-first search."""

    has_distances = True

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

    def pair_bytes(self, ordered: bool) -> int:
        """Return 4 for distances, and 5 for the order and its ties; without clusters it is only made when wanted."""
        return 9 if ordered or self._clustering is not None else 4

    def block(self, judge: Judge, start: int, stop: int, room: Room) -> Block:
        """Return the orders of queries ``start`` to ``stop``, the query itself last."""
        asked, own = self._queries[start:stop], judge.truth.exclude[start:stop]
        filled = squared_by_products(asked, self._gallery, self._norms, room)
        if self._clustering is None:
            return _Distances(filled, self.results, own)
        squared = filled[:, : self.results]
        ranks = cluster_ranks(asked, self._clustering.centroids)
        order = full_order(squared, ranks, self._clustering.assignment, own)
        return Ordered(order, lambda: _ties(np.take_along_axis(squared, order, axis=1), own >= 0), whole=True)


class _Distances:
    """A block of distances to the whole gallery: hits are sorted with them, rows only where they are wanted."""

    def __init__(self, filled: Vectors, results: int, own: NDArray[np.int64]) -> None:
        self._filled, self._results, self._own = filled, results, own

    @cached_property
    def _ordered(self) -> Ordered:
        squared, own = self._filled[:, : self._results], self._own
        order = full_order(squared, last=own)
        return Ordered(order, lambda: _ties(np.take_along_axis(squared, order, axis=1), own >= 0), whole=True)

    def hits(self, judged: Judged) -> Bytes:
        return flags_in_order(self._filled.view(np.uint32), judged.whole(), judged.owners, self._own)

    def tied_hits(self, judged: Judged) -> Ties:
        return self._ordered.tied_hits(judged)

    def rows(self, top: int) -> NDArray[np.int64]:
        return self._ordered.rows(top)

    def tied_rows(self, top: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        return self._ordered.tied_rows(top)


class WholeCodes:
    """Every query's order of the whole gallery of binary codes by Hamming distance: small whole numbers, many ties."""

    has_distances = True

    def __init__(self, queries: NDArray[np.uint64], gallery: NDArray[np.uint64]) -> None:
        """Take codes as words, uint64 (q, w) and (g, w) (:func:`aeret.retrieval.bits.words_of_bools`).

        Raises:
            UsageError: the codes do not fit each other.
        """
        if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
            raise UsageError(
                f"Codes must be words, uint64 (n, w), as wide on both sides; got {queries.shape} and {gallery.shape}."
            )
        self._asked, self._columns = queries, np.ascontiguousarray(gallery.T)

    @property
    def queries(self) -> int:
        """How many queries there are."""
        return len(self._asked)

    @property
    def results(self) -> int:
        """Codes of the gallery."""
        return int(self._columns.shape[1])

    def pair_bytes(self, ordered: bool) -> int:
        """Return 11: distances in 16 and in 32 bits, the order and its ties."""
        return 11

    def block(self, judge: Judge, start: int, stop: int, room: Room) -> Block:
        """Return the results of queries ``start`` to ``stop``."""
        return _Codes(self._asked[start:stop], self._columns, judge.truth.exclude[start:stop])


class _Codes:
    """A block of codes: counted where ties are wanted, sorted where an order is."""

    def __init__(self, asked: NDArray[np.uint64], columns: NDArray[np.uint64], own: NDArray[np.int64]) -> None:
        self._asked, self._columns, self._own = asked, columns, own

    @cached_property
    def _distances(self) -> NDArray[np.uint16]:
        out = np.empty((len(self._asked), self._columns.shape[1]), np.uint16)
        _hamming(self._asked, self._columns, out)
        return out

    @cached_property
    def _ordered(self) -> Ordered:
        order = order_of_bits(self._distances.astype(np.uint32), last=self._own)
        return Ordered(
            order, lambda: _ties(np.take_along_axis(self._distances, order, axis=1), self._own >= 0), whole=True
        )

    def hits(self, judged: Judged) -> Bytes:
        """Return the hits in order."""
        return flags_in_order(self._distances.astype(np.uint32), judged.whole(), judged.owners, self._own)

    def tied_hits(self, judged: Judged) -> Ties:
        """Return the results and hits of each tie."""
        hits = judged.whole()
        groups = 64 * self._asked.shape[1] + 1
        sizes, sums = np.empty((len(hits), groups), np.int32), np.empty((len(hits), groups), np.int32)
        _histogram(self._asked, self._columns, hits, judged.owners, self._own, sizes, sums)
        return sizes, sums

    def rows(self, top: int) -> NDArray[np.int64]:
        """Return the first rows."""
        return self._ordered.rows(top)

    def tied_rows(self, top: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the first rows, and what ties with the row before."""
        return self._ordered.tied_rows(top)


def _ties(distances: NDArray[Any], own_last: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is as far as the result before it; the query itself, moved to the end, ties with nothing."""
    tied = np.zeros(distances.shape, bool)
    np.equal(distances[:, 1:], distances[:, :-1], out=tied[:, 1:])
    tied[own_last, -1:] = False
    return tied


def sums_of_ties(gains: Values, tied: NDArray[np.bool_]) -> tuple[Sizes, Values]:
    """Return the results and the summed gain of each group of ties, int32 and float64 (b, N), of gains (b, N)."""
    sizes, sums = np.zeros(gains.shape, np.int32), np.zeros(gains.shape)
    _groups(gains, tied, np.arange(len(gains)), sizes, sums)
    return sizes, sums


@numba.njit(nogil=True, cache=True)
def _groups(values, tied, owners, sizes, sums):  # type: ignore[no-untyped-def]
    for p in range(values.shape[0]):
        group = -1
        for r in range(values.shape[1]):
            if r == 0 or not tied[owners[p], r]:
                group += 1
            sizes[p, group] += 1
            sums[p, group] += values[p, r]


@numba.njit(nogil=True, cache=True)
def _carry(hits, owners, order, out):  # type: ignore[no-untyped-def]
    for p in range(hits.shape[0]):
        for r in range(order.shape[1]):
            out[p, r] = hits[p, np.uint32(order[owners[p], r])]


@numba.njit(nogil=True, cache=True)
def _own_last(order, own, rows):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        place = 0
        for r in range(order.shape[0]):
            if order[r] != own[i]:
                rows[i, place] = order[r]
                place += 1
        if own[i] >= 0:
            rows[i, place] = own[i]


@numba.njit(nogil=True, cache=True)
def _hamming(asked, columns, out):  # type: ignore[no-untyped-def]
    for i in range(asked.shape[0]):
        _differing(asked[i], columns, 0, out[i])


@numba.njit(nogil=True, cache=True)
def _differing(asked, columns, first, out):  # type: ignore[no-untyped-def]
    """Write the bits in which codes from ``first`` on differ from one."""
    for w in range(columns.shape[0]):
        mine, words = asked[w], columns[w][first : first + out.shape[0]]
        for j in range(out.shape[0]):
            out[j] = (out[j] if w else np.uint16(0)) + ones(mine ^ words[j])


@numba.njit(nogil=True, cache=True)
def _histogram(asked, columns, hits, owners, own, sizes, sums):  # type: ignore[no-untyped-def]
    groups = sizes.shape[1]
    near = np.empty(_TILE, np.uint16)
    # Four counts side by side: two equal distances in a row need not wait for each other.
    counts = np.empty((4, 2 * groups), np.int32)
    for p in range(hits.shape[0]):
        i = owners[p]
        counts[:] = 0
        for first in range(0, columns.shape[1], _TILE):
            mine = hits[p, first : first + _TILE]
            pairs = near[: mine.shape[0]]
            _differing(asked[i], columns, first, pairs)
            for j in range(pairs.shape[0]):
                pairs[j] = (pairs[j] << np.uint16(1)) | np.uint16(mine[j])
            for j in range(0, pairs.shape[0] - 3, 4):
                counts[0, pairs[j]] += 1
                counts[1, pairs[j + 1]] += 1
                counts[2, pairs[j + 2]] += 1
                counts[3, pairs[j + 3]] += 1
            for j in range(pairs.shape[0] // 4 * 4, pairs.shape[0]):
                counts[0, pairs[j]] += 1
        if own[i] >= 0:
            _differing(asked[i], columns, own[i], near[:1])
            counts[0, 2 * near[0] + hits[p, own[i]]] -= 1
        for d in range(groups):
            miss = counts[0, 2 * d] + counts[1, 2 * d] + counts[2, 2 * d] + counts[3, 2 * d]
            hit = counts[0, 2 * d + 1] + counts[1, 2 * d + 1] + counts[2, 2 * d + 1] + counts[3, 2 * d + 1]
            sizes[p, d], sums[p, d] = miss + hit, hit
