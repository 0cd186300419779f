"""Compute normalised discounted cumulated gain with discount 1 / log2(rank + 1)."""

from __future__ import annotations

import numpy as np

from aeret.evaluation.metrics.definition import Definition, Options, Parameter, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values, at_cutoffs


def discounts(n: int) -> Values:
    """Return the weights of ranks 1 to n, float64 (n,)."""
    return np.asarray(1 / np.log2(np.arange(2, n + 2)), np.float64)


def discounted(gains: Values, cutoffs: Counts) -> Values:
    """Return the discounted sum of gains (p, N), best first, up to each cut-off (m,), float64 (p, m)."""
    return at_cutoffs(np.cumsum(gains * discounts(gains.shape[1]), axis=1), cutoffs)


def _ndcg(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """The gain of the first k results, each worth less the later it comes, over the most it could be.

    Formula: nDCG@k = sum_{i <= k} g(i) / log2(i + 1) over the same sum of the k largest gains of the gallery
    Bounds: 0 to 1; every query with any gain can reach 1.
    Source: Jarvelin and Kekalainen 2002; exponential gain: Burges et al. 2005
    Worked: (1/log2 3 + 1/log2 4 + 1/log2 6) / (1/log2 2 + 1/log2 3 + 1/log2 4 + 1/log2 5) = 0.5925
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(discounted(ranked.gains, cutoffs) / discounted(ranked.ideal, cutoffs), np.float64)


def _known(ranked: Ranked) -> Values:
    return np.asarray(ranked.ideal[:, :1].sum(axis=1), np.float64)


NDCG = Definition(
    "normalised discounted cumulated gain",
    _ndcg,
    graded=True,
    known=_known,
    parameters=parameters(
        gain=Parameter("linear", ("linear", "exponential"), "The gain g itself, or 2^g - 1."),
    ),
)
