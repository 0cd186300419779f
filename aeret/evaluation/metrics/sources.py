"""Where ranked results come from, a block of queries at a time: a search's ranking, or one fixed order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.products import Scratch
from aeret.evaluation.metrics.judge import Bytes, Judge, Judged
from aeret.evaluation.metrics.ranked import Values
from aeret.retrieval.ranking import Ranking

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

    @property
    def tie_bytes(self) -> int:
        """Bytes that counting ties takes for each query and result."""
        ...

    def pair_bytes(self, rows: bool, hits: bool) -> int:
        """Return the bytes that a block holds for each query and result, judgements and ties not counted.

        Args:
            rows: whether rows are wanted.
            hits: whether hits in order are wanted, not only ties.
        """
        ...

    def block(self, judge: Judge, start: int, stop: int, scratch: Scratch) -> Block:
        """Return the results of queries ``start`` to ``stop``; they are lost when ``scratch`` is used again."""
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
    tie_bytes = 20

    @property
    def queries(self) -> int:
        """How many queries there are."""
        return len(self.ranking)

    @property
    def results(self) -> int:
        """Results of each query."""
        return int(self.ranking.rows.shape[1])

    def pair_bytes(self, rows: bool, hits: bool) -> int:
        """Return 32: rows and distances, and again where the query itself is moved to the end."""
        return 32

    def block(self, judge: Judge, start: int, stop: int, scratch: Scratch) -> Block:
        """Return the results of queries ``start`` to ``stop``, the query itself moved to the end where it is found."""
        rows, distances = self.ranking.rows[start:stop], self.ranking.distances[start:stop]
        own = rows == judge.truth.exclude[start:stop, None]
        found = own.any(axis=1)
        if found.any():
            order = np.argsort(own, axis=1, kind="stable")
            rows, distances = np.take_along_axis(rows, order, axis=1), np.take_along_axis(distances, order, axis=1)
        return Ordered(rows, lambda: ties(distances, found), whole=False)


@dataclass(frozen=True)
class FixedOrder:
    """One order of the whole gallery for all queries."""

    order: NDArray[np.int32]
    """Gallery rows, int32 (g,)."""
    queries: int
    has_distances = False
    tie_bytes = 20

    @property
    def results(self) -> int:
        """Photos of the gallery."""
        return len(self.order)

    def pair_bytes(self, rows: bool, hits: bool) -> int:
        """Return 12: the order of each query, and as 64-bit rows."""
        return 12

    def block(self, judge: Judge, start: int, stop: int, scratch: Scratch) -> Block:
        """Return the order once for each query, the query itself moved to the end."""
        rows = np.empty((stop - start, len(self.order)), np.int32)
        _own_last(self.order, judge.truth.exclude[start:stop], rows)
        return Ordered(rows, lambda: np.zeros(rows.shape, bool), whole=True)


def ties(distances: NDArray[Any], own_last: NDArray[np.bool_]) -> NDArray[np.bool_]:
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
