"""Filter by the chi-squared statistic of a variable's bins against the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.feature_selection.binned import Counts, tables
from aeret.evaluation.feature_selection.technique import Choice, Effort, Select, Technique, by_score


def chi_squared(sizes: Counts, counts: Counts, exclusive: bool) -> float:
    """Return ``sum (observed - expected)^2 / expected`` over bins and labels.

    Args:
        sizes: examples of each bin, float64 (b,).
        counts: those with each label, float64 (b, c).
        exclusive: whether every example has exactly one label; else those with and without a label are compared, label
            by label, and the statistics added up.
    """
    found = _statistic(sizes, counts)
    return found if exclusive else found + _statistic(sizes, sizes[:, None] - counts)


def _statistic(sizes: Counts, counts: NDArray[np.float64]) -> float:
    expected = sizes[:, None] * counts.sum(axis=0) / sizes.sum()
    off = (counts - expected) ** 2
    return float(np.divide(off, expected, out=np.zeros_like(off), where=expected > 0).sum())


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    return by_score(np.array([chi_squared(*table, choice.exclusive) for table in tables(choice)]))


CHI_SQUARED = Technique(
    "chi-squared", "filter", "The variables whose bins and labels are least independent of each other.", _build
)
