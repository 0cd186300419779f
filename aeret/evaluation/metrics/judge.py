"""Who is relevant to whom: rules bound once, hits of results and of whole galleries, and totals over the gallery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.evaluation.metrics.ranked import Counts
from aeret.evaluation.relevance import Gains, Relevance, Truth, relevance
from aeret.retrieval.bits import ones, words_of_bools

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

BLOCK_BYTES = 32 * 2**20
"""Bytes of a block of gains over the gallery, all in all."""


def best_gains(gains: Gains, n: int) -> Gains:
    """Return the ``n`` largest gains of each row, falling, float32 (q, min(n, g)), of gains (q, g)."""
    kept = min(n, gains.shape[1])
    if not kept:
        return np.zeros((len(gains), 0), np.float32)
    best = np.partition(gains, gains.shape[1] - kept, axis=1)[:, gains.shape[1] - kept :]
    return -np.sort(-best, axis=1)


@dataclass(frozen=True)
class Totals:
    """What a rule gives over the whole gallery, the query itself left out."""

    relevant: Counts
    """Photos that gain more than 0, int64 (q,)."""
    ideal: Gains
    """The largest gains, falling, float32 (q, K); K = 0 where nobody asked."""


class Judge:
    """The truth of one search task, its rules bound when they are first wanted and its totals summed once."""

    def __init__(self, truth: Truth, threads: int = 0) -> None:
        """Take the truth of queries and gallery; ``threads`` is 0 for one per core and never changes a result."""
        self.truth = truth
        self._threads = threads
        self._totals: dict[str, Totals] = {}
        self._rules: dict[str, Relevance] = {}

    @cached_property
    def with_self(self) -> Judge:
        """The same truth where a query may find itself."""
        free = np.full(len(self.truth.exclude), -1, np.int64)
        return self if (self.truth.exclude < 0).all() else Judge(replace(self.truth, exclude=free), self._threads)

    @cached_property
    def candidates(self) -> Counts:
        """Photos that each query could find, int64 (q,)."""
        return len(self.truth.gallery_labels) - (self.truth.exclude >= 0).astype(np.int64)

    @cached_property
    def words(self) -> tuple[Words, Words]:
        """Labels as words, of the queries (q, w) and of the gallery (g, w)."""
        return words_of_bools(self.truth.query_labels), words_of_bools(self.truth.gallery_labels)

    @cached_property
    def members(self) -> Words:
        """Which gallery photos have each class, a bit for each as numpy packs them, uint64 (c, ceil(g / 64))."""
        photos, classes = self.truth.gallery_labels.shape
        members = np.empty((classes, -(-photos // 64)), np.uint64)
        _members(np.ascontiguousarray(self.truth.gallery_labels).view(np.uint8), members)
        return members

    @cached_property
    def by_class(self) -> Bytes:
        """Which gallery photos have each class, uint8 (c, g)."""
        return np.ascontiguousarray(self.truth.gallery_labels.T).view(np.uint8)

    @cached_property
    def held(self) -> Counts:
        """Gallery photos of each class, the query itself left out, int64 (q, c)."""
        own = self._own_labels
        return np.asarray(self.truth.gallery_labels.sum(axis=0, dtype=np.int64)[None, :] - own, np.int64)

    def rule(self, name: str) -> Relevance:
        """Return a rule bound to the truth."""
        if name not in self._rules:
            self._rules[name] = relevance(name, self.truth)
        return self._rules[name]

    def totals(self, name: str, top: int = 0) -> Totals:
        """Return a rule's totals with at least ``top`` ideal gains (where the gallery has so many)."""
        known = self._totals.get(name)
        top = min(top, len(self.truth.gallery_labels))
        if known is None or known.ideal.shape[1] < top:
            labels_alone = not top and name in ("any", "jaccard")
            known = (
                Totals(self._sharing(), np.zeros((len(self), 0), np.float32)) if labels_alone else self._sum(name, top)
            )
            self._totals[name] = known
        return known

    def knows(self, name: str) -> bool:
        """Whether a rule's relevant photos are counted already."""
        return name in self._totals

    def know(self, totals: Mapping[str, Totals]) -> None:
        """Take totals that were summed elsewhere."""
        self._totals.update(totals)

    def __len__(self) -> int:
        return len(self.truth.query_labels)

    def _sharing(self) -> Counts:
        """Photos that share a label."""
        counts = np.empty(len(self), np.int64)
        _sharing(self.truth.query_labels, self.members, counts)
        return np.asarray(counts - (self.truth.query_labels & self._own_labels).any(axis=1), np.int64)

    @property
    def _own_labels(self) -> NDArray[np.bool_]:
        """Labels of the gallery row that each query is, none where it is not there, bool (q, c)."""
        labels, known = np.zeros(self.truth.query_labels.shape, bool), self.truth.exclude >= 0
        labels[known] = self.truth.gallery_labels[self.truth.exclude[known]]
        return labels

    def _sum(self, name: str, top: int) -> Totals:
        rule = self.rule(name)
        relevant, ideal = np.empty(len(self), np.int64), np.empty((len(self), top), np.float32)

        def work(start: int, stop: int) -> None:
            gains = rule.gains(np.arange(start, stop))
            relevant[start:stop] = np.count_nonzero(gains > 0, axis=1)
            ideal[start:stop] = best_gains(gains, top)

        size = max(1, BLOCK_BYTES // (12 * max(1, len(self.truth.gallery_labels))))
        for _ in over_blocks(len(self), size, work, self._threads):
            pass
        return Totals(relevant, ideal)


class Judged:
    """Hits of one rule for a block of queries; or of their classes, a row for each pair of a query and its class."""

    def __init__(self, judge: Judge, rel: str, by_class: bool, start: int, stop: int) -> None:
        self._judge, self._rel = judge, rel
        self._rows = np.arange(start, stop)
        self.classes: NDArray[np.int64] | None = None
        self.owners: NDArray[np.int64] = np.arange(stop - start)
        """The query of each row, counted from the block's first, int64 (p,)."""
        if by_class:
            self.owners, self.classes = np.nonzero(judge.truth.query_labels[start:stop])

    @property
    def queries(self) -> NDArray[np.int64]:
        """The query of each row, int64 (p,)."""
        return self._rows[self.owners]

    @property
    def relevant(self) -> Counts:
        """Relevant photos of the gallery, int64 (p,)."""
        if self.classes is not None:
            return self._judge.held[self.queries, self.classes]
        return self._judge.totals(self._rel).relevant[self._rows]

    def at(self, rows: NDArray[np.int64]) -> Bytes:
        """Return the hits among results, uint8 (p, N), of rows int64 (b, N) of the block's queries."""
        truth = self._judge.truth
        if self.classes is not None:
            hits = self._judge.by_class[self.classes[:, None], rows[self.owners]]
            hits[rows[self.owners] == truth.exclude[self.queries][:, None]] = 0
            return hits
        if self._rel != "any":
            return (self._judge.rule(self._rel).at(self._rows, rows) > 0).view(np.uint8)
        asked, found = self._judge.words
        out = np.empty(rows.shape, np.uint8)
        _shared_at(asked[self._rows], found, rows, truth.exclude[self._rows], out)
        return out

    def whole(self) -> Bytes:
        """Return the hits of the whole gallery in its own order, uint8 (p, g)."""
        truth = self._judge.truth
        if self.classes is not None:
            out = self._judge.by_class[self.classes]
        elif self._rel != "any":
            return (self._judge.rule(self._rel).gains(self._rows) > 0).view(np.uint8)
        else:
            united = np.empty((len(self._rows), self._judge.members.shape[1]), np.uint64)
            _unite(truth.query_labels[self._rows], self._judge.members, united)
            out = np.unpackbits(united.view(np.uint8), axis=1, count=len(truth.gallery_labels))
        own = truth.exclude[self.queries]
        known = np.flatnonzero(own >= 0)
        out[known, own[known]] = 0
        return out


@numba.njit(nogil=True, cache=True)
def _members(labels, out):  # type: ignore[no-untyped-def]
    words = np.empty(labels.shape[1], np.uint64)
    for w in range(out.shape[1]):
        words[:] = 0
        for j in range(64 * w, min(64 * w + 64, labels.shape[0])):
            row, shift = labels[j], np.uint64((j & 63) ^ 7)  # the first of a byte is its highest bit
            for c in range(words.shape[0]):
                words[c] |= np.uint64(row[c]) << shift
        out[:, w] = words


@numba.njit(nogil=True, cache=True)
def _unite(labels, members, out):  # type: ignore[no-untyped-def]
    """Write the photos that have any of the labels of each query."""
    out[:] = 0
    for i in range(labels.shape[0]):
        row = out[i]
        for c in range(labels.shape[1]):
            if labels[i, c]:
                mine = members[c]
                for w in range(row.shape[0]):
                    row[w] |= mine[w]


@numba.njit(nogil=True, cache=True)
def _sharing(labels, members, counts):  # type: ignore[no-untyped-def]
    united = np.empty((1, members.shape[1]), np.uint64)
    for i in range(labels.shape[0]):
        _unite(labels[i : i + 1], members, united)
        total = np.uint64(0)
        for w in range(united.shape[1]):
            total += ones(united[0, w])
        counts[i] = total


@numba.njit(nogil=True, cache=True)
def _shared_at(queries, words, rows, exclude, out):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        for r in range(rows.shape[1]):
            j = rows[i, r]
            shared = np.uint64(0)
            for w in range(words.shape[1]):
                shared |= queries[i, w] & words[j, w]
            out[i, r] = shared != 0 and j != exclude[i]
