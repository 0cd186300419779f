"""Measure on many random samples of the queries (the paper's "simulations")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
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
    """Return statistics of the means of per-query values (q, m) over samples (s, size), NaN entries left out."""
    means = pd.DataFrame(np.stack([pd.DataFrame(values[sample]).mean().to_numpy() for sample in samples]))
    spread = np.zeros(values.shape[1]) if len(samples) == 1 else means.std(ddof=1).fillna(0.0).to_numpy()
    return Resampled(means.mean().to_numpy(), spread, *interval(means.to_numpy()))
