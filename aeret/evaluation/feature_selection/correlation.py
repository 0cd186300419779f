"""Filter by the absolute correlation of a variable with the labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.feature_selection.technique import Choice, Effort, Select, Technique, by_score


def mean_correlation(variables: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean over labels of the absolute Pearson correlation, float64 (v,); 0 for what never changes.

    Args:
        variables: float64 (n, v).
        labels: bool (n, c); a label that all or none have is left out.
    """
    told = labels[:, labels.any(axis=0) & ~labels.all(axis=0)]
    if not told.shape[1]:
        return np.zeros(variables.shape[1])
    found = _unit(variables).T @ _unit(told.astype(np.float64))
    return np.asarray(np.abs(found).mean(axis=1))


def _unit(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    off = columns - columns.mean(axis=0)
    length = np.sqrt((off**2).sum(axis=0))
    return np.asarray(off / np.where(length > 0, length, 1.0))


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    return by_score(mean_correlation(choice.variables, choice.labels))


CORRELATION = Technique(
    "correlation", "filter", "The variables of largest absolute correlation with a label, mean over labels.", _build
)
