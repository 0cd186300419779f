"""Score each variable by itself, with the statistics of scikit-learn.

Examples with exactly one label are one question of many classes; otherwise each label is a question of its own, with or
without, and the scores of all questions are added up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_selection import chi2, mutual_info_classif, r_regression
from sklearn.preprocessing import OneHotEncoder

from aeret.evaluation.feature_selection.technique import Choice, scored

BINS = 10
_DISTINCT = 32
Scores = NDArray[np.float64]


def binned(variables: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each value, int64 (n, v): the value itself if at most 32 differ, else tenths of equal size."""
    return np.stack([_bins(values) for values in variables.T], axis=1)


def _bins(values: NDArray[np.float64]) -> NDArray[np.int64]:
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= _DISTINCT:
        return places.reshape(-1).astype(np.int64)
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def questions(labels: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the classes of the examples in each question, int64 (n,); labels that all or none have are left out."""
    told = labels[:, labels.any(axis=0) & ~labels.all(axis=0)].astype(np.int64)
    return [labels.argmax(axis=1)] if (labels.sum(axis=1) == 1).all() else list(told.T)


def information_gain(choice: Choice) -> Scores:
    """Return the mutual information of each variable's bins and the labels, nats, float64 (v,)."""
    bins = binned(choice.variables)
    return _sum(choice, [mutual_info_classif(bins, each, discrete_features=True) for each in questions(choice.labels)])


def chi_squared(choice: Choice) -> Scores:
    """Return the chi-squared statistic of each variable's bins against the labels, float64 (v,)."""
    encoder = OneHotEncoder()
    cells = encoder.fit_transform(binned(choice.variables))
    first = np.cumsum([0, *map(len, encoder.categories_[:-1])])
    found = [np.add.reduceat(chi2(cells, each)[0], first) for each in questions(choice.labels)]
    return _sum(choice, found)


def mean_correlation(choice: Choice) -> Scores:
    """Return the mean over labels of the absolute Pearson correlation, float64 (v,); 0 for constant variables."""
    told = choice.labels[:, choice.labels.any(axis=0) & ~choice.labels.all(axis=0)].astype(np.float64)
    return _sum(choice, [np.abs(r_regression(choice.variables, label)) / told.shape[1] for label in told.T])


def _sum(choice: Choice, found: list[Scores]) -> Scores:
    return np.asarray(sum(found, np.zeros(choice.total)))


VARIANCE = scored(
    "variance",
    "filter",
    "The variables that vary most, without a look at the labels.",
    lambda choice: choice.variables.var(axis=0),
)
INFORMATION_GAIN = scored(
    "information-gain", "filter", "The variables that alone tell most about the labels.", information_gain
)
CHI_SQUARED = scored(
    "chi-squared", "filter", "The variables whose bins and labels are least independent of each other.", chi_squared
)
CORRELATION = scored(
    "correlation",
    "filter",
    "The variables of largest absolute correlation with a label, mean over labels.",
    mean_correlation,
)
