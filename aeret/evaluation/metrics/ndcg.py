"""Normalised discounted cumulated gain: graded relevance, discount 1 / log2(rank + 1)."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.metrics.definition import Definition, Options, Parameter, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values


def discounts(n: int) -> Values:
    """Return the weights of ranks 1 to n, float64 (n,)."""
    return np.asarray(1 / np.log2(np.arange(2, n + 2)), np.float64)


def discounted(gains: Values, cutoffs: Counts, sizes: NDArray[np.int32] | None = None) -> Values:
    """Return the discounted gain up to each cut-off, float64 (p, m), always summed in the order of the ranks.

    Args:
        gains: best first, float64 (p, N); sums of ties where ``sizes`` are given.
        cutoffs: rising, int64 (m,).
        sizes: int32 (p, T); every place of a tie gains its mean.
    """
    out = np.empty((len(gains), len(cutoffs)))
    sizes = np.empty((len(gains), 0), np.int32) if sizes is None else sizes
    _discounted(gains, sizes, cutoffs, discounts(int(cutoffs.max(initial=0))), out)
    return out


def _ndcg(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    ideal = discounted(ranked.ideal, cutoffs)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(discounted(ranked.gains, cutoffs, ranked.sizes) / ideal, np.float64)


def _known(ranked: Ranked) -> Values:
    return np.asarray(ranked.ideal[:, :1].sum(axis=1), np.float64)


@numba.njit(nogil=True, cache=True)
def _discounted(gains, sizes, cutoffs, weights, out):  # type: ignore[no-untyped-def]
    for i in range(gains.shape[0]):
        place, total, column, left = 0, 0.0, 0, 0
        for c in range(cutoffs.shape[0]):
            if sizes.shape[1] == 0:
                for r in range(place, min(cutoffs[c], gains.shape[1])):
                    total += gains[i, r] * weights[r]
                place = cutoffs[c]
            else:
                while place < cutoffs[c] and column < gains.shape[1]:
                    if left == 0:
                        left = sizes[i, column]
                    if left == 0:
                        column += 1
                        continue
                    total += gains[i, column] / sizes[i, column] * weights[place]
                    place += 1
                    left -= 1
                    if left == 0:
                        column += 1
            out[i, c] = total


NDCG = Definition(
    title="normalised discounted cumulated gain",
    text="The gain of the first k results, each worth less the later it comes, over the most it could be.",
    formula="nDCG@k = sum_{i <= k} g(i) / log2(i + 1) over the same sum of the k largest gains of the gallery",
    bounds="0 to 1; every query with any gain can reach 1.",
    source="Jarvelin and Kekalainen 2002; exponential gain: Burges et al. 2005",
    worked="(1/log2 3 + 1/log2 4 + 1/log2 6) / (1/log2 2 + 1/log2 3 + 1/log2 4 + 1/log2 5) = 0.5925",
    compute=_ndcg,
    graded=True,
    known=_known,
    parameters=parameters(
        gain=Parameter("linear", ("linear", "exponential"), "The gain g itself, or 2^g - 1."),
    ),
)
