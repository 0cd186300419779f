"""Compute the precision-recall curve."""

from __future__ import annotations

import numpy as np

from aeret.evaluation.metrics.definition import Definition, Options, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values

LEVELS = 101
"""Recall levels of the curve: 0, 0.01, ..., 1."""


def _curve(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """Precision at 101 levels of recall, interpolated: the best at this recall or beyond.

    Formula: PR(l) = max{P@i: R@i >= l}, l = 0, 0.01, ..., 1
    Bounds: 0 to 1, never rising with recall; by chance R / M at every level.
    Source: Manning, Raghavan and Schuetze 2008, chapter 8
    Worked: up to recall 0.5 (51 points) the best is 2 of 3, then 3 of 5, beyond 0.75 4 of 8; the mean of the
        points: (51 x 2/3 + 25 x 3/5 + 25 x 4/8) / 101 = 0.6089
    """
    found = np.cumsum(ranked.hits, axis=1, dtype=np.int64)
    precision = found * ranked.hits / np.arange(1, ranked.hits.shape[1] + 1)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    best = np.concatenate([best, np.zeros((len(best), 1))], axis=1)  # levels that the results do not reach
    needed = -(-np.arange(LEVELS) * ranked.relevant[:, None] // (LEVELS - 1))  # hits at each level, rounded up
    places = [np.searchsorted(own, hits) for own, hits in zip(found, needed, strict=True)]
    return np.take_along_axis(best, np.array(places, np.int64).reshape(needed.shape), axis=1)[:, None]


CURVE = Definition("precision-recall curve", _curve, cutoff="none", levels=LEVELS, parameters=parameters(ties=False))
