"""Variables in bins: how often each bin goes with each label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.feature_selection.technique import Choice

BINS = 10
_DISTINCT = 32
Counts = NDArray[np.float64]


def binned(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each value, int64 (n,): the values themselves where few differ, else tenths of equal size."""
    distinct, places = np.unique(values, return_inverse=True)
    if len(distinct) <= _DISTINCT:
        return places.reshape(-1).astype(np.int64)
    edges = np.unique(np.quantile(values, np.arange(1, BINS) / BINS))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def tables(choice: Choice) -> Iterator[tuple[Counts, Counts]]:
    """Yield for each variable the examples of each bin, float64 (b,), and those with each label, float64 (b, c)."""
    labels = choice.labels.astype(np.float64)
    for values in choice.variables.T:
        places = np.unique(binned(values), return_inverse=True)[1].reshape(-1)
        sizes = np.bincount(places).astype(np.float64)
        counts = np.zeros((len(sizes), labels.shape[1]))
        np.add.at(counts, places, labels)
        yield sizes, counts
