"""Compute what searches reach that never look at the query.

The *random* floor is the exact expectation over all orders of the gallery, in closed form. The *query-free* floor is
one fixed order of the gallery, by mean relevance to the queries (the query itself left out). This constant list of an
oracle knows the labels of gallery and queries (for layout, the masks), which no search of photos does; so it is an
informed floor: about the best that a ranking without regard to its query can reach.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.metrics.ndcg import discounts
from aeret.evaluation.metrics.ranked import Counts, Values


def random_hits(relevant: Counts, candidates: Counts, n: int) -> Values:
    """Return the expected relevant photos among ``n`` random ones, float64 (q,): hypergeometric mean."""
    return np.minimum(n, candidates) * relevant / np.maximum(candidates, 1)


def random_hit_rate(relevant: Counts, candidates: Counts, n: int) -> Values:
    """Return the chance that any of ``n`` random photos is relevant, float64 (q,)."""
    drawn = np.arange(n)[:, None]
    misses = np.maximum(candidates - relevant - drawn, 0) / np.maximum(candidates - drawn, 1)
    return np.asarray(1 - np.prod(np.where(drawn < candidates, misses, 1), axis=0), np.float64)


def random_average_precision(relevant: Counts, candidates: Counts, n: int | None = None) -> Values:
    """Return expected average precision of a random order cut at ``n``, float64 of the arguments' shape.

    The chance of a hit at rank k is R / M, and given one, the expected hits before it are (k - 1)(R - 1) / (M - 1); so
    E[AP@n] = R / (M min(R, n)) * sum_{k <= n} [1 + (k - 1)(R - 1) / (M - 1)] / k, n at most M. NaN where R = 0.
    """
    relevant, candidates = np.broadcast_arrays(np.asarray(relevant, np.float64), np.asarray(candidates, np.float64))
    last = candidates if n is None else np.minimum(candidates, n)
    largest = int(last.max(initial=0))
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, largest + 1))])[last.astype(np.int64)]
    slope = (relevant - 1) / np.maximum(candidates - 1, 1)
    total = harmonic + slope * (last - harmonic)
    capped = relevant if n is None else np.minimum(relevant, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(relevant > 0, relevant / candidates / capped * total, np.nan)


def random_ndcg(mean_gain: Values, ideal: Values, candidates: Counts, n: int) -> Values:
    """Return expected nDCG@n of a random order, float64 (q,): every place gains the mean; NaN where ``ideal`` is 0."""
    weights = np.concatenate([[0.0], np.cumsum(discounts(n))])[np.minimum(n, candidates)]
    return np.where(ideal > 0, mean_gain * weights / np.where(ideal > 0, ideal, 1), np.nan)


def query_free_order(total_gain: Values) -> NDArray[np.int32]:
    """Return the gallery by falling total gain over the queries, ties by row, int32 (g,)."""
    return np.argsort(-total_gain, kind="stable").astype(np.int32)


def query_free_rows(order: NDArray[np.int32], exclude: Counts, n: int) -> NDArray[np.int64]:
    """Return the first ``n`` rows of one fixed order for each query, its own row left out, int64 (q, n)."""
    top = order[: n + 1].astype(np.int64)
    width = min(n, len(order) - int(bool((exclude >= 0).any())))
    itself = top[None, :] == exclude[:, None]
    return top[np.argsort(itself, axis=1, kind="stable")[:, :width]]  # the query itself goes last
