"""Count hits: precision, recall, F, hit rate, CMC and R-precision."""

from __future__ import annotations

import numpy as np

from aeret.evaluation.metrics.definition import BY_QUERY, POOLED, Definition, Options, Parameter, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values, at_cutoffs


def _precision(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """The share of the first k results that are relevant.

    Formula: P@k = sum_{i <= k} rel(i) / k
    Bounds: 0 to 1, but at most R / k for a query with fewer than k relevant photos; k counts even if the gallery
        is smaller.
    Source: Manning, Raghavan and Schuetze 2008, chapter 8
    Worked: 3 of the first 5 are relevant: 3 / 5 = 0.6
    """
    return ranked.found(cutoffs) / cutoffs


def _cutoffs(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    return np.asarray(cutoffs[None, :], np.float64)


def _possible(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    relevant = ranked.relevant[:, None]
    if options["capped"] == "yes":
        relevant = np.minimum(relevant, cutoffs)
    return np.maximum(relevant, 1).astype(np.float64)


def _recall(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """The share of the relevant photos that are among the first k results.

    Formula: R@k = sum_{i <= k} rel(i) / R; capped: / min(k, R)
    Bounds: 0 to min(1, k / R): with thousands of relevant photos it cannot leave 0; capped it can always reach 1.
    Source: Manning, Raghavan and Schuetze 2008, chapter 8
    Worked: 3 of the 4 relevant photos are among the first 5: 3 / 4 = 0.75
    """
    return ranked.found(cutoffs) / _possible(ranked, cutoffs, options)


def _f_weight(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    return (cutoffs + ranked.relevant[:, None]).astype(np.float64)


def _f(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """The harmonic mean of each query's precision and recall at k.

    Formula: F@k = 2 P R / (P + R) = 2 sum_{i <= k} rel(i) / (k + R)
    Bounds: 0 to 2 min(k, R) / (k + R): 1 only if k = R.
    Source: van Rijsbergen 1979; per query, then averaged
    Worked: 3 hits in 5 results, 4 relevant: 2 x 3 / (5 + 4) = 0.6667
    """
    return 2 * ranked.found(cutoffs) / _f_weight(ranked, cutoffs, options)


def _hit(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """Whether any of the first k results is relevant.

    Formula: Hit@k = 1 if sum_{i <= k} rel(i) > 0, else 0
    Bounds: 0 or 1 per query; ties by expectation: the chance of a hit. What metric learning calls Recall@k.
    Source: Musgrave, Belongie and Lim 2020 (there Recall@k)
    Worked: the first 5 hold a relevant photo = 1
    """
    if ranked.ties is None:
        return (ranked.found(cutoffs) > 0).astype(np.float64)
    ties = ranked.ties
    drawn = ties.place - 1
    # The chance that this result misses too, given that all before it in its group do.
    misses = np.maximum(ties.size - ties.hits - drawn, 0) / np.maximum(ties.size - drawn, 1)
    return at_cutoffs(1 - np.cumprod(misses, axis=1), cutoffs)


def _cmc(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """The chance that the right identity is met within k results. For one gallery it is the hit rate; its own name is
    that of re-identification, which draws it over all k.

    Formula: CMC@k = 1 if sum_{i <= k} rel(i) > 0, else 0
    Bounds: 0 or 1 per query, never falling with k.
    Source: Moon and Phillips 2001; Gray, Brennan and Tao 2007
    Worked: the first 5 hold a relevant photo = 1
    """
    return _hit(ranked, cutoffs, options)


def _r_precision(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """Precision, and recall, at k = R: as many results as there are relevant photos.

    Formula: RPrec = sum_{i <= R} rel(i) / R
    Bounds: 0 to 1; every query can reach 1.
    Source: Buckley and Voorhees 2000
    Worked: R = 4, and 2 of the first 4 are relevant: 2 / 4 = 0.5
    """
    return ranked.found(ranked.relevant[:, None]) / np.maximum(ranked.relevant, 1)[:, None]


def _relevant(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    return ranked.relevant[:, None].astype(np.float64)


PRECISION = Definition("precision", _precision, parameters=parameters(POOLED), weight=_cutoffs)
RECALL = Definition(
    "recall",
    _recall,
    parameters=parameters(
        POOLED, capped=Parameter("no", ("no", "yes"), "Divide by min(k, R), the most that k results can hold.")
    ),
    weight=_possible,
)
F = Definition("F value", _f, parameters=parameters(POOLED), weight=_f_weight)
HIT = Definition("hit rate", _hit, parameters=parameters(BY_QUERY))
CMC = Definition("cumulative match characteristic", _cmc, parameters=parameters(BY_QUERY))
R_PRECISION = Definition(
    "R-precision", _r_precision, cutoff="none", depth="relevant", parameters=parameters(POOLED), weight=_relevant
)
