"""Compute the reciprocal rank of the first relevant result; its mean is MRR."""

from __future__ import annotations

import numpy as np

from aeret.evaluation.metrics.definition import BY_QUERY, Definition, Options, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values, at_cutoffs


def _reciprocal_rank(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """One over the rank of the first relevant result; 0 if none is among the first k.

    Formula: RR = 1 / min{i: rel(i) = 1}
    Bounds: 0 to 1; looks at one result alone: 1, 1/2, 1/3 ...
    Source: Voorhees 1999
    Worked: the first relevant result has rank 2: 1 / 2 = 0.5
    """
    ranks = np.arange(1, ranked.hits.shape[1] + 1)
    if ranked.ties is None:
        first = (np.cumsum(ranked.hits, axis=1) == 1) & (ranked.hits > 0)
        return at_cutoffs(np.cumsum(first / ranks, axis=1), cutoffs)
    ties = ranked.ties
    drawn = ties.place - 1
    left = np.maximum(ties.size - drawn, 1)
    misses = np.maximum(ties.size - ties.hits - drawn, 0) / left
    # The chance that nothing before is a hit, times the chance that this one is.
    none = np.concatenate([np.ones((len(misses), 1)), np.cumprod(misses, axis=1)[:, :-1]], axis=1)
    return at_cutoffs(np.cumsum(none * (1 - misses) / ranks, axis=1), cutoffs)


RECIPROCAL_RANK = Definition(
    "reciprocal rank (its mean is MRR)", _reciprocal_rank, cutoff="optional", parameters=parameters(BY_QUERY)
)
