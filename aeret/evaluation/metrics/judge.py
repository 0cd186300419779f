"""Judge which gallery photos are relevant to which queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.metrics.ranked import Counts
from aeret.evaluation.relevance import Gains, Relevance, Truth, relevance

BLOCK_BYTES = 32 * 2**20
"""Bytes of one block of gains over the whole gallery."""
PAIR_BYTES = 16
"""Bytes that such a block holds for each query and gallery photo."""


def best_gains(gains: Gains, n: int) -> Gains:
    """Return the ``n`` largest gains of each row in descending order, float32 (q, min(n, g))."""
    kept = min(n, gains.shape[1])
    if not kept:
        return np.zeros((len(gains), 0), np.float32)
    best = np.partition(gains, gains.shape[1] - kept, axis=1)[:, gains.shape[1] - kept :]
    return -np.sort(-best, axis=1)


@dataclass(frozen=True)
class Totals:
    """What a rule gives over the whole gallery without the query itself."""

    relevant: Counts
    """Photos with a gain above 0, int64 (q,)."""
    ideal: Gains
    """The largest gains in descending order, float32 (q, K); K = 0 unless a graded measure asked."""


class Judge:
    """Truth of one search task, with its rules bound and its totals summed once, on first use."""

    def __init__(self, truth: Truth) -> None:
        """Hold the labels and masks of queries and gallery."""
        self.truth = truth
        self._totals: dict[str, Totals] = {}
        self._rules: dict[str, Relevance] = {}

    def __len__(self) -> int:
        return len(self.truth.query_labels)

    @cached_property
    def with_self(self) -> Judge:
        """The same truth, but a query may find itself."""
        free = np.full(len(self.truth.exclude), -1, np.int64)
        return self if (self.truth.exclude < 0).all() else Judge(replace(self.truth, exclude=free))

    @cached_property
    def candidates(self) -> Counts:
        """Photos that each query could find, int64 (q,)."""
        return len(self.truth.gallery_labels) - (self.truth.exclude >= 0).astype(np.int64)

    @cached_property
    def held(self) -> Counts:
        """Gallery photos of each class without the query itself, int64 (q, c)."""
        own = np.zeros(self.truth.query_labels.shape, bool)
        known = self.truth.exclude >= 0
        own[known] = self.truth.gallery_labels[self.truth.exclude[known]]
        return np.asarray(self.truth.gallery_labels.sum(axis=0, dtype=np.int64)[None, :] - own, np.int64)

    def rule(self, name: str) -> Relevance:
        """Return a rule bound to the truth."""
        if name not in self._rules:
            self._rules[name] = relevance(name, self.truth)
        return self._rules[name]

    def totals(self, name: str, top: int = 0) -> Totals:
        """Return a rule's totals with at least ``top`` ideal gains, or as many as the gallery has."""
        known = self._totals.get(name)
        top = min(top, len(self.truth.gallery_labels))
        if known is None or known.ideal.shape[1] < top:
            known = self._totals[name] = self._sum(name, top)
        return known

    def know(self, totals: Mapping[str, Totals]) -> None:
        """Take totals that were summed elsewhere."""
        self._totals.update(totals)

    def class_hits(self, queries: Counts, classes: Counts, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which results hold a class, bool (p, N).

        Args:
            queries: the query of each pair, int64 (p,).
            classes: the class of each pair, int64 (p,).
            rows: results of each pair, int64 (p, N).
        """
        hits = self.truth.gallery_labels[rows, classes[:, None]]
        return np.asarray(hits & (rows != self.truth.exclude[queries][:, None]), bool)

    def _sum(self, name: str, top: int) -> Totals:
        rule = self.rule(name)
        relevant, ideal = np.empty(len(self), np.int64), np.empty((len(self), top), np.float32)
        size = max(1, BLOCK_BYTES // (PAIR_BYTES * max(1, len(self.truth.gallery_labels))))
        for start in range(0, len(self), size):
            block = np.arange(start, min(start + size, len(self)))
            gains = rule.gains(block)
            relevant[block] = np.count_nonzero(gains > 0, axis=1)
            ideal[block] = best_gains(gains, top)
        return Totals(relevant, ideal)
