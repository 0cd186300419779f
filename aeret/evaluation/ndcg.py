"""Normalised discounted cumulated gain (Jarvelin and Kekalainen 2002), linear gain, discount 1 / log2(rank + 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Gains = NDArray[np.float32]
Values = NDArray[np.float64]


def discounts(n: int) -> Values:
    """Return the weights of ranks 1 to n, float64 (n,)."""
    return 1 / np.log2(np.arange(2, n + 2))


def dcg(gains: Gains, n: int) -> Values:
    """Return the discounted gain of the first ``n`` results, float64 (q,); gains (q, N), best first."""
    top = gains[:, :n].astype(np.float64)
    # A sum along the axis, not a matrix product: the same last bit for any number of queries.
    return np.asarray((top * discounts(top.shape[1])).sum(axis=1), np.float64)


def ideal_dcg(gains: Gains, n: int) -> Values:
    """Return the largest possible discounted gain, float64 (q,), from the gains of the whole gallery (q, g)."""
    kept = min(n, gains.shape[1])
    if not kept:
        return np.zeros(len(gains))
    best = np.partition(gains, gains.shape[1] - kept, axis=1)[:, gains.shape[1] - kept :]
    return dcg(-np.sort(-best, axis=1), n)


def ndcg_at(gains: Gains, ideal: Values, n: int) -> Values:
    """Return nDCG of the first ``n`` results, float64 (q,); NaN where no photo of the gallery has any gain.

    Args:
        gains: of the results, best first, float32 (q, N).
        ideal: :func:`ideal_dcg` over the whole gallery without the query itself, float64 (q,).
        n: results looked at.
    """
    return np.where(ideal > 0, dcg(gains, n) / np.where(ideal > 0, ideal, 1), np.nan)
