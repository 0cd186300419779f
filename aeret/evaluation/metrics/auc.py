"""Compute the area under the ROC curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.metrics.definition import BY_QUERY, Definition, Options, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values


def _auc(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """The chance that a relevant photo comes before one that is not.

    Formula: AUC = #{(a, b): a relevant, b not, a before b} / (R (M - R)), M photos that could be found;
        ties=expected: a tied pair counts 1/2
    Bounds: 0 to 1, 0.5 by chance whatever R is; undefined, and treated as empty, if all photos are relevant.
    Source: Hanley and McNeil 1982
    Worked: 6 photos are not relevant; 5, 5, 4 and 2 of them come after the hits: 16 / 24 = 0.6667
    """
    others = ranked.candidates - ranked.relevant
    after: NDArray[Any]
    if ranked.ties is None:
        misses_before = np.cumsum(1 - ranked.hits.astype(np.int64), axis=1)
        after = others[:, None] - misses_before  # a hit is no miss, so its own place adds none
    else:  # a pair inside a tie counts half
        ties = ranked.ties
        after = others[:, None] - (ties.before - ties.found) - (ties.size - ties.hits) / 2
    pairs = (ranked.hits * after).sum(axis=1)
    return np.asarray(pairs / np.maximum(others * ranked.relevant, 1), np.float64)[:, None]


def _known(ranked: Ranked) -> Values:
    return ((ranked.relevant > 0) & (ranked.relevant < ranked.candidates)).astype(np.float64)


AUC = Definition("area under the ROC curve", _auc, cutoff="none", known=_known, parameters=parameters(BY_QUERY))
