"""Test whether a difference between two systems is real, paired over queries.

Queries are the unit (Smucker, Allan, Carterette 2007). Training randomness is a second level: with several seeds per
arm, test the means over seeds of each query.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from aeret.errors import UnknownNameError, UsageError

Values = NDArray[np.float64]

EXACT_UP_TO = 15
"""Pairs up to which all sign patterns are enumerated."""
_CHUNK_CELLS = 2_000_000
_FLAT = 1e-12


def randomisation_test(differences: Values, rng: np.random.Generator, resamples: int = 10_000) -> Values:
    """Return the two-sided p of Fisher's paired randomisation test of each column, float64 (m,).

    The sign of each query's difference is flipped with chance 1/2; p = (1 + c) / (resamples + 1), where c counts the
    patterns whose mean is at least as far from 0 as the true one, or the exact share of all 2^n patterns up to 15
    queries. NaN entries do not take part; the p of a column without any query is 1.

    Args:
        differences: float64 (n, m): n queries, m measures.
        rng: draws the signs, the same for all columns.
        resamples: number of drawn sign patterns.

    Example:
        >>> randomisation_test(np.array([[0.1], [0.2], [0.3]]), np.random.default_rng(0))
        array([0.25])
    """
    # scipy's permutation_test gives the same p; one product for all columns takes a hundredth of its time.
    filled = _filled(differences)
    count = len(filled)
    total = filled.sum(axis=0)
    # Sums in another order differ in their last bits; a pattern equal to the observed one must count.
    limit = np.abs(total) - _FLAT * np.abs(filled).sum(axis=0)
    extreme = np.zeros(filled.shape[1], np.int64)
    exact = count <= EXACT_UP_TO
    for flips in _all_flips(count) if exact else _random_flips(count, resamples, rng):
        extreme += (np.abs(total - 2 * (flips @ filled)) >= limit).sum(axis=0)
    return extreme / 2**count if exact else (1 + extreme) / (resamples + 1)


def wilcoxon_test(differences: Values) -> Values:
    """Return the two-sided p of Wilcoxon's signed-rank test of each column, float64 (m,).

    It asks whether differences lie symmetrically about 0. Zeros take part in the ranking and are then left out (Pratt
    1959); differences within 1e-12 of each other are ties. NaN entries do not take part; the p of a column without any
    query, or of zeros alone, is 1.

    Args:
        differences: float64 (n, m): n queries, m measures.
    """
    columns = (np.round(column[np.isfinite(column)], 12) for column in _matrix(differences).T)
    return np.array([stats.wilcoxon(d, zero_method="pratt").pvalue if d.any() else 1.0 for d in columns])


def bootstrap_interval(
    values: Values, rng: np.random.Generator, resamples: int = 10_000, level: float = 0.95, method: str = "percentile"
) -> tuple[Values, Values]:
    """Return the bootstrap interval of each column's mean, queries resampled with replacement, two float64 (m,).

    NaN entries do not take part; the interval of a column without any is NaN.

    Args:
        values: float64 (n, m): n queries, m measures; paired differences for the interval of a difference.
        rng: draws the queries, the same for all columns.
        resamples: number of drawn samples.
        level: coverage.
        method: ``percentile``, or ``bca``: corrected for bias and for a spread that depends on the mean, which matters
            for few queries or a skewed measure (Efron 1987).

    Raises:
        UnknownNameError: the method does not exist.
    """
    if method not in ("percentile", "bca"):
        raise UnknownNameError(f"There is no interval {method!r}. Known: bca, percentile.")
    valid, filled = np.isfinite(values).astype(np.float64), _filled(values)
    means = []
    for weights in bootstrap_weights(len(values), resamples, rng):
        with np.errstate(divide="ignore", invalid="ignore"):
            means.append((weights @ filled) / (weights @ valid))
    draws = np.concatenate(means)
    low, high = interval(draws, level)
    if method == "bca":
        for column in range(values.shape[1]):
            known, drawn = values[valid[:, column] > 0, column], draws[np.isfinite(draws[:, column]), column]
            if len(known) and np.ptp(known) > _FLAT * np.abs(known).max():
                low[column], high[column] = _bca(known, drawn, level)
    return low, high


def _bca(values: Values, draws: Values, level: float) -> tuple[float, float]:
    """Return scipy's BCa interval of the mean from draws of it."""
    # Draws equal to the mean but for rounding must count as equal.
    draws = np.where(np.isclose(draws, values.mean(), rtol=_FLAT), values.mean(), draws)
    made = SimpleNamespace(bootstrap_distribution=draws)
    options = {"n_resamples": 0, "confidence_level": level, "method": "BCa", "bootstrap_result": made}
    found = stats.bootstrap((values,), np.mean, **options).confidence_interval
    return float(found.low), float(found.high)


def interval(draws: Values, level: float = 0.95) -> tuple[Values, Values]:
    """Return the central percentile interval of draws (B, m), NaN draws left out, two float64 (m,)."""
    kept = (column[np.isfinite(column)] for column in draws.T)
    levels = [(1 - level) / 2, (1 + level) / 2]
    bounds = np.array([np.quantile(column, levels) if len(column) else (np.nan, np.nan) for column in kept])
    low, high = bounds.reshape(-1, 2).T
    return low, high


def bootstrap_weights(count: int, resamples: int, rng: np.random.Generator) -> Iterator[Values]:
    """Yield how often each of ``count`` queries is drawn, float64 (b, count), ``resamples`` rows in all."""
    chunk = max(1, _CHUNK_CELLS // max(1, count))
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        drawn = rng.integers(0, count, size=(rows, count)) if count else np.zeros((rows, 0), np.int64)
        drawn += np.arange(rows)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)


def holm(p_values: Values) -> Values:
    """Return Holm's step-down adjusted p values, float64 (m,), which control the family-wise error (Holm 1979).

    Raises:
        UsageError: a p value is outside [0, 1] or NaN.
    """
    p_values = np.asarray(p_values, np.float64)
    if not ((p_values >= 0) & (p_values <= 1)).all():
        raise UsageError(f"p values must lie in [0, 1], got {p_values}.")
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)))
    return adjusted


def share_positive(differences: Values) -> Values:
    """Return the share of positive entries of each column, NaN left out, float64 (m,)."""
    valid = np.isfinite(differences).sum(axis=0)
    with np.errstate(invalid="ignore"):
        better = (differences > 0).sum(axis=0)
    return np.where(valid > 0, better / np.maximum(valid, 1), np.nan)


def _matrix(values: Values) -> Values:
    if values.ndim != 2:
        raise UsageError(f"Expected one column per measure, float64 (queries, measures); got shape {values.shape}.")
    return values


def _filled(values: Values) -> Values:
    return np.where(np.isfinite(_matrix(values)), values, 0.0)


def _all_flips(count: int) -> Iterator[Values]:
    yield ((np.arange(2**count)[:, None] >> np.arange(count)) & 1).astype(np.float64)


def _random_flips(count: int, resamples: int, rng: np.random.Generator) -> Iterator[Values]:
    chunk = max(1, _CHUNK_CELLS // count)
    for start in range(0, resamples, chunk):
        packed = rng.integers(0, 256, size=(min(chunk, resamples - start), -(-count // 8)), dtype=np.uint8)
        yield np.unpackbits(packed, axis=1, count=count).astype(np.float64)
