"""Judge one block of ordered results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.metrics.judge import Judge
from aeret.evaluation.metrics.orders import Orders
from aeret.evaluation.metrics.ranked import Counts, Ranked, Ties, Values


class JudgedBlock:
    """Ordered results of consecutive queries, judged on first use."""

    def __init__(self, orders: Orders, judge: Judge, start: int, stop: int) -> None:
        """Order the gallery for the queries ``start`` to ``stop``."""
        self.queries = np.arange(start, stop)
        self._judge = judge
        self._rows, self._tied = orders.block(start, stop, judge.truth.exclude[start:stop])
        self._kept: tuple[tuple[str, bool], Ranked] | None = None

    def hits(self, rule: str, tied: bool) -> Ranked:
        """Return which results are relevant, with expectations over ties if ``tied``."""
        if self._kept is None or self._kept[0] != (rule, tied):
            hits = self._judge.rule(rule).at(self.queries, self._rows) > 0
            relevant = self._judge.totals(rule).relevant[self.queries]
            self._kept = (rule, tied), self._of(hits, relevant, self.queries, self._tied if tied else None)
        return self._kept[1]

    def class_hits(self, tied: bool) -> tuple[Ranked, Counts, Counts]:
        """Return hits for each pair of a query and one of its classes, and the query and class of each pair."""
        truth = self._judge.truth
        owners, classes = np.nonzero(truth.query_labels[self.queries])
        queries, rows = self.queries[owners], self._rows[owners]
        hits = truth.gallery_labels[rows, classes[:, None]] & (rows != truth.exclude[queries][:, None])
        groups = self._tied[owners] if tied and self._tied is not None else None
        return self._of(hits, self._judge.held[queries, classes], queries, groups), queries, classes

    def gains(self, rule: str, tied: bool, top: int, exponential: bool) -> Ranked:
        """Return graded gains of the first ``top`` results, and the ideal ones."""
        top = min(top, len(self._judge.truth.gallery_labels))
        totals = self._judge.totals(rule, top)
        rows = self._rows if tied else self._rows[:, :top]  # a tie may go on beyond the cut-off
        gains, ideal = (
            np.exp2(part.astype(np.float64)) - 1 if exponential else part.astype(np.float64)
            for part in (self._judge.rule(rule).at(self.queries, rows), totals.ideal[self.queries, :top])
        )
        if tied and self._tied is not None:
            gains = _means(gains, self._tied)
        none = np.empty((len(gains), 0))
        return Ranked(totals.relevant[self.queries], self._judge.candidates[self.queries], none, gains, ideal)

    def _of(self, hits: NDArray[np.bool_], relevant: Counts, queries: Counts, tied: NDArray[np.bool_] | None) -> Ranked:
        none = np.empty((len(hits), 0))
        plain = Ranked(relevant, self._judge.candidates[queries], hits.view(np.uint8), none, none)
        if tied is None:
            return plain
        ties = Ties.of(plain.hits, tied)
        return replace(plain, hits=ties.hits / ties.size, ties=ties)


def _means(gains: Values, tied: NDArray[np.bool_]) -> Values:
    """Replace each gain by the mean of its group of ties."""
    ties = Ties.of(np.zeros(gains.shape, np.int64), tied)
    sums = np.concatenate([np.zeros((len(gains), 1)), np.cumsum(gains, axis=1)], axis=1)
    group = np.take_along_axis(sums, ties.before + ties.size, axis=1) - np.take_along_axis(sums, ties.before, axis=1)
    return np.asarray(group / ties.size, np.float64)
