"""Is a difference between two systems real? Paired over queries, which are the unit (Smucker, Allan, Carterette 2007).

Training randomness is a second level: with several seeds per arm, test the means over seeds of each query.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import wilcoxon

from aeret.errors import UsageError
from aeret.registry import lookup

Values = NDArray[np.float64]

EXACT_UP_TO = 15
"""Pairs up to which all sign patterns are enumerated."""
_CHUNK_CELLS = 2_000_000


def randomisation_test(differences: Values, rng: np.random.Generator, resamples: int = 10_000) -> Values:
    """Return the two-sided p of Fisher's paired randomisation test of each column, float64 (m,).

    The sign of each query's difference is flipped with chance 1/2; p = (1 + c) / (resamples + 1), where c counts the
    patterns whose mean is at least as far from 0 as the true one, or the exact share of all 2^n patterns up to 15
    queries. A query that is NaN in a column does not take part in it; a
    column without any query has p = 1.

    Args:
        differences: float64 (n, m): n queries, m measures.
        rng: draws the signs, the same for all columns.
        resamples: sign patterns drawn.
    """
    filled = _filled(differences)
    count = len(filled)
    observed = np.abs(filled.sum(axis=0))
    # Sums in another order differ in their last bits; a pattern equal to the one observed must count.
    limit = observed - 1e-12 * np.abs(filled).sum(axis=0)
    extreme = np.zeros(filled.shape[1], np.int64)
    exact = count <= EXACT_UP_TO
    for flips in _all_flips(count) if exact else _random_flips(count, resamples, rng):
        sums = filled.sum(axis=0) - 2 * (flips @ filled)
        extreme += np.count_nonzero(np.abs(sums) >= limit, axis=0)
    return extreme / 2**count if exact else (1 + extreme) / (resamples + 1)


def wilcoxon_test(differences: Values) -> Values:
    """Return the two-sided p of Wilcoxon's signed-rank test of each column, float64 (m,).

    It asks whether differences lie symmetrically about 0, not whether their mean is 0, and stands beside the
    randomisation test as a second opinion. Zeros take part in the ranking and are then left out (Pratt 1959).
    Differences within 1e-12 of each other are ties: measures of equal rankings are sums in another order. The p is
    exact up to 50 queries without zeros and ties and up to 13 with them, and by the normal approximation with
    correction for ties beyond (scipy's ``auto``). A query that is NaN in a column does not take part in it; a column
    without any query, or of zeros alone, has p = 1.

    Args:
        differences: float64 (n, m): n queries, m measures.
    """
    _filled(differences)
    p = np.ones(differences.shape[1])
    for column in range(differences.shape[1]):
        kept = np.round(differences[np.isfinite(differences[:, column]), column], 12)
        if kept.any():
            p[column] = wilcoxon(kept, zero_method="pratt").pvalue
    return p


def bootstrap_interval(
    values: Values, rng: np.random.Generator, resamples: int = 10_000, level: float = 0.95, method: str = "percentile"
) -> tuple[Values, Values]:
    """Return the bootstrap interval of each column's mean, queries resampled with replacement, two float64 (m,).

    NaN entries do not take part; the interval of a column without any is NaN.

    Args:
        values: float64 (n, m): n queries, m measures; paired differences for the interval of a difference.
        rng: draws the queries, the same for all columns.
        resamples: samples drawn.
        level: coverage.
        method: ``percentile``, or ``bca``: corrected for bias and for a spread that depends on the mean, which matters
            for few queries or a skewed measure (Efron 1987).
    """
    bounds = lookup(INTERVALS, method, "interval")
    valid = np.isfinite(values).astype(np.float64)
    filled = _filled(values)
    means = []
    for weights in bootstrap_weights(len(values), resamples, rng):
        with np.errstate(divide="ignore", invalid="ignore"):
            means.append((weights @ filled) / (weights @ valid))
    draws = np.concatenate(means)
    return _quantiles(draws, *bounds(values, draws, level))


def _percentile_levels(values: Values, draws: Values, level: float) -> tuple[Values, Values]:
    width = values.shape[1]
    return np.full(width, (1 - level) / 2), np.full(width, (1 + level) / 2)


def _bca_levels(values: Values, draws: Values, level: float) -> tuple[Values, Values]:
    """Return the levels of the draws at which Efron's BCa interval lies, two float64 (m,)."""
    known = np.isfinite(values)
    counts = np.maximum(known.sum(axis=0), 1)
    means = _filled(values).sum(axis=0) / counts
    # The acceleration: of a mean, leaving query i out moves it by (mean - x_i) / (n - 1); the factor cancels.
    off = np.where(known, values - means, 0.0)
    squares = (off**2).sum(axis=0)
    scale = np.abs(_filled(values)).sum(axis=0) / counts
    flat = squares <= counts * (1e-12 * scale) ** 2
    acceleration = (off**3).sum(axis=0) / (6 * np.where(flat, 1.0, squares) ** 1.5)
    # The bias: the share of draws below the mean, a draw equal to it but for rounding counting half.
    slack = 1e-12 * scale
    drawn = np.isfinite(draws)
    below = ((draws < means - slack) & drawn).sum(axis=0) + ((draws <= means + slack) & drawn).sum(axis=0)
    number = np.maximum(drawn.sum(axis=0), 1)
    bias = ndtri(np.clip(below / (2 * number), 0.5 / number, 1 - 0.5 / number))
    levels = []
    for normal in (ndtri((1 - level) / 2), ndtri((1 + level) / 2)):
        moved = bias + normal
        spread = 1 - acceleration * moved
        # Beyond its pole the correction says: as far out as there is.
        reached = np.where(spread > 0, bias + moved / np.where(spread > 0, spread, 1.0), np.sign(moved) * np.inf)
        levels.append(np.where(flat, ndtr(normal), ndtr(reached)))
    return levels[0], levels[1]


INTERVALS = {"percentile": _percentile_levels, "bca": _bca_levels}
"""Interval by name: from values (n, m), draws of their means (B, m) and a coverage, the levels of the draws to take."""


def interval(draws: Values, level: float = 0.95) -> tuple[Values, Values]:
    """Return the central percentile interval of draws (B, m), NaN draws left out, two float64 (m,)."""
    return _quantiles(draws, *_percentile_levels(draws, draws, level))


def _quantiles(draws: Values, lower: Values, upper: Values) -> tuple[Values, Values]:
    low, high = np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    for column in range(draws.shape[1]):
        kept = draws[np.isfinite(draws[:, column]), column]
        if len(kept):
            low[column], high[column] = np.quantile(kept, [lower[column], upper[column]])
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
    """Return Holm's step-down adjusted p values, float64 (m,): control of the family-wise error (Holm 1979).

    Raises:
        UsageError: a p value is outside [0, 1] or NaN.
    """
    p_values = np.asarray(p_values, np.float64)
    if not ((p_values >= 0) & (p_values <= 1)).all():
        raise UsageError(f"p values must lie in [0, 1], got {p_values}.")
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    adjusted = np.minimum(1, np.maximum.accumulate(p_values[order] * factors))
    back = np.empty_like(adjusted)
    back[order] = adjusted
    return back


def share_positive(differences: Values) -> Values:
    """Return P(d > 0): the share of queries that got better, of each column without its NaN, float64 (m,)."""
    valid = np.isfinite(differences).sum(axis=0)
    with np.errstate(invalid="ignore"):
        better = (differences > 0).sum(axis=0)
    return np.where(valid > 0, better / np.maximum(valid, 1), np.nan)


def _filled(values: Values) -> Values:
    if values.ndim != 2:
        raise UsageError(f"Expected one column per measure, float64 (queries, measures); got shape {values.shape}.")
    return np.where(np.isfinite(values), values, 0.0)


def _all_flips(count: int) -> Iterator[Values]:
    patterns = np.arange(2**count)
    yield ((patterns[:, None] >> np.arange(count)) & 1).astype(np.float64)


def _random_flips(count: int, resamples: int, rng: np.random.Generator) -> Iterator[Values]:
    chunk = max(1, _CHUNK_CELLS // count)
    for start in range(0, resamples, chunk):
        rows = min(chunk, resamples - start)
        packed = rng.integers(0, 256, size=(rows, -(-count // 8)), dtype=np.uint8)
        yield np.unpackbits(packed, axis=1, count=count).astype(np.float64)
