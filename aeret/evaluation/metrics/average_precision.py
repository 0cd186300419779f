"""Average precision, in each convention of its denominator, with ties broken or by exact expectation."""

from __future__ import annotations

import math

import numba
import numpy as np

from aeret.evaluation.metrics.definition import BY_QUERY, Definition, Options, Parameter, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values

_SHORT = 256
"""Ranks of a tie that are summed one by one; longer ties take the difference of two harmonic numbers."""

_PART = 1024
"""Ranks that are looked at together: their places and precisions stay in the first-level cache."""


def _average_precision(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    relevant = ranked.relevant[:, None]
    cuts = ranked.cutoffs(cutoffs)
    if options["depth"] == "relevant":
        cuts = np.minimum(cuts, relevant)
    by_hits = options["denominator"] == "hits"
    total = np.empty((len(relevant), cuts.shape[1]))
    if ranked.sizes.shape[1]:
        longest = int(ranked.sizes.sum(axis=1).max(initial=0))
        harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, longest + 1))])
        _expected(ranked.hits, ranked.sizes, cuts, harmonic, by_hits, total)
        if by_hits:
            return total
    else:
        _summed(ranked.hits, cuts, total)
    if by_hits:
        return total / np.maximum(ranked.found(cuts), 1)
    capped = np.minimum(relevant, cuts) if options["denominator"] == "capped" else relevant
    return total / np.maximum(capped, 1)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def _summed(hits, cutoffs, out):  # type: ignore[no-untyped-def]
    """Sum of the precision at each hit up to each cut-off, every fourth hit in one of four sums."""
    places, parts = np.empty(_PART, np.int32), np.empty(_PART + 7)
    for i in range(hits.shape[0]):
        row, cuts = hits[i], cutoffs[min(i, cutoffs.shape[0] - 1)]
        place, found = 0, 0
        # Four sums side by side need not wait for each other; which of them a hit goes to depends on its number alone,
        # so that no other cut-off changes a value.
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for c in range(cuts.shape[0]):
            last = min(cuts[c], row.shape[0])
            for start in range(place, last, _PART):
                count = 0
                for r in range(start, min(start + _PART, last)):
                    places[count] = r + 1
                    count += row[r]
                first = found % 4
                parts[:first] = 0
                for h in range(count):
                    parts[first + h] = np.float64(found + h + 1) / np.float64(places[h])
                parts[first + count : first + count + 3] = 0
                for h in range(0, first + count, 4):
                    s0 += parts[h]
                    s1 += parts[h + 1]
                    s2 += parts[h + 2]
                    s3 += parts[h + 3]
                found += count
            place = max(place, last)
            out[i, c] = (s0 + s1) + (s2 + s3)


@numba.njit(nogil=True, cache=True)
def _part(size, relevant, found, before, count, harmonic):  # type: ignore[no-untyped-def]
    """Expected sum of precision at the hits among the first ``count`` of a tie (McSherry and Najork 2008).

    (r/n) sum_{i=1..m} (F + 1 + (i - 1)(r - 1)/(n - 1)) / (N + i), N results and F hits before the tie.
    """
    inverse, weighted = 0.0, 0.0
    if count <= _SHORT:
        for i in range(1, count + 1):
            inverse += 1.0 / (before + i)
            weighted += (i - 1) / (before + i)
    else:
        inverse = harmonic[before + count] - harmonic[before]
        weighted = count - (before + 1) * inverse
    slope = (relevant - 1) / (size - 1) if size > 1 else 0.0
    return relevant / size * ((found + 1) * inverse + slope * weighted)


@numba.njit(nogil=True, cache=True)
def _expected(hits, sizes, cutoffs, harmonic, by_hits, out):  # type: ignore[no-untyped-def]
    for i in range(hits.shape[0]):
        cuts = cutoffs[min(i, cutoffs.shape[0] - 1)]
        column, before, found, total = 0, 0, 0, 0.0
        for c in range(cuts.shape[0]):
            while column < hits.shape[1] and before + sizes[i, column] <= cuts[c]:
                size, relevant = sizes[i, column], hits[i, column]
                if relevant:
                    total += _part(size, relevant, found, before, size, harmonic)
                before += size
                found += relevant
                column += 1
            rest, relevant = 0, 0
            if column < hits.shape[1]:
                rest, relevant = cuts[c] - before, hits[i, column]
            if not by_hits:
                more = _part(sizes[i, column], relevant, found, before, rest, harmonic) if rest and relevant else 0.0
                out[i, c] = total + more
            elif rest and relevant:
                out[i, c] = _over_hits(sizes[i, column], relevant, found, before, rest, total, harmonic)
            else:
                out[i, c] = total / found if found else 0.0


@numba.njit(nogil=True, cache=True)
def _over_hits(size, relevant, found, before, count, total, harmonic):  # type: ignore[no-untyped-def]
    """Expected sum over hits where the cut-off goes through a tie: the number of hits varies too (hypergeometric)."""
    value = 0.0
    for h in range(max(0, count - (size - relevant)), min(count, relevant) + 1):
        if not found + h:
            continue
        chance = math.exp(_ways(relevant, h) + _ways(size - relevant, count - h) - _ways(size, count))
        # Given h hits among them, all orders of the first ``count`` are alike: a tie of their own.
        more = _part(count, h, found, before, count, harmonic) if h else 0.0
        value += chance * (total + more) / (found + h)
    return value


@numba.njit(nogil=True, cache=True)
def _ways(n, k):  # type: ignore[no-untyped-def]
    return math.lgamma(n + 1.0) - math.lgamma(k + 1.0) - math.lgamma(n - k + 1.0)


AVERAGE_PRECISION = Definition(
    title="average precision",
    text="The mean of the precision at the place of each relevant photo; its mean over queries is mAP. Over the whole "
    "gallery all denominators are one.",
    formula="AP@k = sum_{i <= k} P@i rel(i) / D; D = min(k, R) (capped), R (relevant) or the hits among the first k "
    "(hits)",
    bounds="0 to 1; D = R: at most k / R. D = hits reaches 1 with a single hit in the first place.",
    source="Buckley and Voorhees 2000; denominators: Musgrave, Belongie and Lim 2020, and the deep hashing protocols; "
    "ties: McSherry and Najork 2008",
    worked="hits at ranks 2, 3, 5 and 8 of 4: (1/2 + 2/3 + 3/5 + 4/8) / 4 = 0.5667",
    compute=_average_precision,
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
