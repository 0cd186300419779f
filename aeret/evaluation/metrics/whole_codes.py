"""Whole-gallery orders of binary codes by Hamming distance, made block by block."""

from __future__ import annotations

from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.products import Scratch
from aeret.errors import UsageError
from aeret.evaluation.metrics.judge import Bytes, Judge, Judged
from aeret.evaluation.metrics.sources import Block, Ordered, Ties, ties
from aeret.retrieval.bits import ones
from aeret.retrieval.full_order import flags_in_order, order_of_bits

_TILE = 4096
"""Codes whose distances to a query stay in the cache until they are counted."""


class WholeCodes:
    """Every query's order of the whole gallery of binary codes by Hamming distance: small whole numbers, many ties."""

    has_distances = True
    tie_bytes = 2
    """Ties are counted by distance, of which there are few; what is left are the hits."""

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

    def pair_bytes(self, rows: bool, hits: bool) -> int:
        """Return 6 for distances in 16 and in 32 bits, and 5 for the order; each is made only when it is wanted."""
        return 11 if rows else 6 if hits else 0

    def block(self, judge: Judge, start: int, stop: int, scratch: Scratch) -> Block:
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
            order, lambda: ties(np.take_along_axis(self._distances, order, axis=1), self._own >= 0), whole=True
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
