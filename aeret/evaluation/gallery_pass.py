"""Sum relevance over all pairs of query and gallery photo, block by block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.memory import block_size
from aeret.evaluation.metrics.judge import Judge, Totals, best_gains
from aeret.evaluation.metrics.ndcg import discounted
from aeret.evaluation.metrics.ranked import Values
from aeret.progress import Progress, silent


@dataclass(frozen=True)
class GallerySums:
    """Sums over the whole gallery, the query itself left out."""

    totals: Mapping[str, Totals]
    """Rule to the relevant photos of each query, and its largest gains where the rule is graded."""
    candidates: NDArray[np.int64]
    """Photos that could be found, int64 (q,)."""
    mean_gain: Mapping[str, Values]
    """Rule to the mean gain over the gallery of each query, float64 (q,)."""
    total_gain: Mapping[str, Values]
    """Rule to the summed gain over the queries of each gallery photo, float64 (g,)."""

    @property
    def relevant(self) -> NDArray[np.int64]:
        """Photos that share a category with each query, int64 (q,)."""
        return self.totals["any"].relevant

    def ideal(self) -> dict[str, Values]:
        """Return each graded rule's best possible discounted gain of each query, float64 (q,)."""
        graded = {name: totals.ideal.astype(np.float64) for name, totals in self.totals.items() if name != "any"}
        return {name: discounted(gains, np.array([gains.shape[1]]))[:, 0] for name, gains in graded.items()}


def gallery_sums(judge: Judge, rules: Sequence[str], top: int, progress: Progress = silent) -> GallerySums:
    """Sum the gains of every rule over the gallery and over the queries, and keep each query's largest.

    Args:
        judge: of the search task; it knows the totals afterwards.
        rules: names; ``any`` gives the counts, all others are graded.
        top: number of largest gains kept.
        progress: shows queries done.
    """
    queries, gallery = len(judge), len(judge.truth.gallery_labels)
    kept = {name: 0 if name == "any" else min(top, gallery) for name in rules}
    totals = {name: Totals(np.zeros(queries, np.int64), np.zeros((queries, kept[name]), np.float32)) for name in rules}
    row_sums, total = {name: np.zeros(queries) for name in rules}, {name: np.zeros(gallery) for name in rules}
    with progress("relevance of the whole gallery", queries, unit="query") as step:
        for start in range(0, queries, block_size(gallery)):
            rows = np.arange(start, min(start + block_size(gallery), queries))
            for name in rules:
                gains = judge.rule(name).gains(rows)
                row_sums[name][rows] = gains.sum(axis=1, dtype=np.float64)
                total[name] += gains.sum(axis=0, dtype=np.float64)
                totals[name].relevant[rows] = np.count_nonzero(gains, axis=1)
                totals[name].ideal[rows] = best_gains(gains, kept[name])
            step(len(rows))
    judge.know(totals)
    mean = {name: sums / np.maximum(judge.candidates, 1) for name, sums in row_sums.items()}
    return GallerySums(totals, judge.candidates, mean, total)
