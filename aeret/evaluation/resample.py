"""The paper's "simulations": the same measure on many random samples of the queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.evaluation.significance import Values, interval


@dataclass(frozen=True)
class Resampled:
    """Statistics of a measure's mean over samples of the queries, one entry a measure, float64 (m,)."""

    mean: Values
    sd: Values
    """Standard deviation over samples, ddof 1; 0 with one sample."""
    low: Values
    high: Values
    """The central 95 % of the sample means."""


def sample_queries(count: int, fraction: float, resamples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw query samples, int64 (resamples, size), size at least 1.

    A fraction below 1 draws without replacement: with one half, the sd over samples estimates the standard error of
    the mean over all queries (half-sampling). Fraction 1 draws with replacement (bootstrap): without it, every sample
    would be the same.

    Raises:
        UsageError: there is no query, or the fraction is outside (0, 1].
    """
    if count < 1 or resamples < 1 or not 0 < fraction <= 1:
        raise UsageError(f"Cannot draw {resamples} samples of a share {fraction} of {count} queries.")
    if fraction == 1:
        return rng.integers(0, count, size=(resamples, count))
    size = max(1, round(fraction * count))
    return np.stack([rng.choice(count, size, replace=False) for _ in range(resamples)])


def resampled(values: Values, samples: NDArray[np.int64]) -> Resampled:
    """Return statistics of the means of per-query values (q, m) over samples (s, size), NaN queries left out."""
    means = np.full((len(samples), values.shape[1]), np.nan)
    for row, sample in enumerate(samples):
        chosen = values[sample]
        valid = np.isfinite(chosen)
        counts = valid.sum(axis=0)
        sums = np.where(valid, chosen, 0.0).sum(axis=0)
        means[row] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    known = np.isfinite(means)
    number = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known.any(axis=0), np.where(known, means, 0.0).sum(axis=0) / number, np.nan)
    squares = (np.where(known, means - mean, 0.0) ** 2).sum(axis=0)
    return Resampled(mean, np.sqrt(squares / np.maximum(number - 1, 1)), *interval(means))
