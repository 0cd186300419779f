"""Compute average precision with every convention of its denominator."""

from __future__ import annotations

import numpy as np
from scipy.stats import hypergeom

from aeret.evaluation.metrics.definition import BY_QUERY, Definition, Options, Parameter, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Ties, Values, at_cutoffs


def _average_precision(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    """The mean of the precision at the place of each relevant photo; its mean over queries is mAP. Over the whole
    gallery all denominators are one.

    Formula: AP@k = sum_{i <= k} P@i rel(i) / D; D = min(k, R) (capped), R (relevant) or the hits among the first k
        (hits)
    Bounds: 0 to 1; D = R: at most k / R. D = hits reaches 1 with a single hit in the first place.
    Source: Buckley and Voorhees 2000; denominators: Musgrave, Belongie and Lim 2020, and the deep hashing
        protocols; ties: McSherry and Najork 2008
    Worked: hits at ranks 2, 3, 5 and 8 of 4: (1/2 + 2/3 + 3/5 + 4/8) / 4 = 0.5667
    """
    relevant = ranked.relevant[:, None]
    cuts = np.broadcast_to(cutoffs, (len(relevant), len(cutoffs)))
    if options["depth"] == "relevant":
        cuts = np.minimum(cuts, relevant)
    total = at_cutoffs(np.cumsum(_contributions(ranked), axis=1), cuts)
    if options["denominator"] == "hits":
        values = total / np.maximum(ranked.found(cuts), 1)
        return values if ranked.ties is None else _over_expected_hits(values, total, cuts, ranked.ties)
    capped = np.minimum(relevant, cuts) if options["denominator"] == "capped" else relevant
    return total / np.maximum(capped, 1)


def _contributions(ranked: Ranked) -> Values:
    """Return the (expected) precision at each rank if it is a hit, else 0, float64 (p, N).

    In a tie of n results with r hits after N results with F hits, rank N + i contributes
    (r / n) (F + 1 + (i - 1) (r - 1) / (n - 1)) / (N + i) (McSherry and Najork 2008).
    """
    ranks = np.arange(1, ranked.hits.shape[1] + 1)
    if ranked.ties is None:
        return np.asarray(ranked.running * ranked.hits / ranks, np.float64)
    ties = ranked.ties
    slope = (ties.hits - 1) / np.maximum(ties.size - 1, 1)
    return np.asarray(ties.hits / ties.size * (ties.found + 1 + (ties.place - 1) * slope) / ranks, np.float64)


def _over_expected_hits(values: Values, total: Values, cuts: Counts, ties: Ties) -> Values:
    """Correct AP over hits where a cut-off divides a tie, so that the number of hits varies too."""
    width = ties.size.shape[1]
    for row, column in zip(*np.nonzero((cuts > 0) & (cuts < width)), strict=True):
        last = int(cuts[row, column]) - 1
        size, relevant = int(ties.size[row, last]), int(ties.hits[row, last])
        before, found = int(ties.before[row, last]), int(ties.found[row, last])
        count = last + 1 - before
        if count == size or relevant == 0:
            continue
        start = float(total[row, column]) - float(_part(size, relevant, found, before, count))
        hits = np.arange(max(0, count - (size - relevant)), min(count, relevant) + 1)
        # Given the number of hits among them, all orders of the first ``count`` are alike: a tie of their own.
        parts = np.array([start + _part(count, each, found, before, count) for each in hits.tolist()])
        chances = hypergeom.pmf(hits, size, relevant, count)
        values[row, column] = float((chances * parts / np.maximum(found + hits, 1)).sum())
    return values


def _part(size: int, hits: int, found: int, before: int, count: int) -> float:
    """Return what the first ``count`` results of a tie contribute."""
    place = np.arange(1, count + 1)
    slope = (hits - 1) / max(size - 1, 1)
    return float((hits / size * (found + 1 + (place - 1) * slope) / (before + place)).sum())


AVERAGE_PRECISION = Definition(
    "average precision",
    _average_precision,
    cutoff="optional",
    parameters=parameters(
        BY_QUERY,
        denominator=Parameter(
            "capped",
            ("capped", "relevant", "hits"),
            "What the sum is divided by: min(k, R), all relevant photos (TREC), or those among the first k (hashing).",
        ),
        depth=Parameter("all", ("all", "relevant"), "With relevant, only the first R results count: MAP@R."),
    ),
)
