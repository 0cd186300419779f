"""Judge which gallery photos are relevant to which queries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.memory import block_size
from aeret.evaluation.metrics.ranked import Counts, Values
from aeret.evaluation.relevance import Gains, Relevance, Truth, relevance
from aeret.progress import Progress, silent


@dataclass(frozen=True)
class Totals:
    """Sums of a rule over the whole gallery without the query itself."""

    relevant: Counts
    """Photos with a gain above 0, int64 (q,)."""
    ideal: Gains
    """The largest gains in descending order, float32 (q, K)."""
    mean_gain: Values
    """Mean gain of each query over the photos it could find, float64 (q,)."""
    total_gain: Values
    """Summed gain of each gallery photo over the queries, float64 (g,)."""


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

    def totals(self, name: str, top: int = 0, progress: Progress = silent) -> Totals:
        """Return a rule's totals with at least ``top`` ideal gains, or as many as the gallery has."""
        known = self._totals.get(name)
        top = min(top, len(self.truth.gallery_labels))
        if known is None or known.ideal.shape[1] < top:
            known = self._totals[name] = self._sum(name, top, progress)
        return known

    def _sum(self, name: str, top: int, progress: Progress) -> Totals:
        rule, queries, gallery = self.rule(name), len(self), len(self.truth.gallery_labels)
        relevant, ideal = np.empty(queries, np.int64), np.empty((queries, top), np.float32)
        sums, total = np.empty(queries), np.zeros(gallery)
        with progress(f"relevance {name} of the whole gallery", queries, unit="query") as step:
            for start in range(0, queries, block_size(gallery)):
                rows = np.arange(start, min(start + block_size(gallery), queries))
                gains = rule.gains(rows)
                relevant[rows], ideal[rows] = np.count_nonzero(gains, axis=1), _largest(gains, top)
                sums[rows] = gains.sum(axis=1, dtype=np.float64)
                total += gains.sum(axis=0, dtype=np.float64)
                step(len(rows))
        return Totals(relevant, ideal, sums / np.maximum(self.candidates, 1), total)


def _largest(gains: Gains, n: int) -> NDArray[np.float32]:
    """Return the ``n`` largest gains of each row in descending order, float32 (q, n)."""
    if not n:
        return np.zeros((len(gains), 0), np.float32)
    return -np.sort(-np.partition(gains, gains.shape[1] - n, axis=1)[:, gains.shape[1] - n :], axis=1)
