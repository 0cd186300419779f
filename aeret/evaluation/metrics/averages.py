"""Average per-query values."""

from __future__ import annotations

import numpy as np

from aeret.evaluation.metrics.naming import Measure
from aeret.evaluation.metrics.ranked import Values


def average(measure: Measure, values: Values) -> float:
    """Return the average of a measure's values over the queries (or classes) that take part; NaN if none does."""
    return class_mean(values) if measure.options.get("average") == "class" else mean(values)


def mean(values: Values) -> float:
    """Return the mean of the queries that take part; NaN if none does."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def class_mean(values: Values) -> float:
    """Return the mean over classes of the mean over queries, of values float64 (q, c)."""
    return mean(np.array([mean(column) for column in values.T]))
