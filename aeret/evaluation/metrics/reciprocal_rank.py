"""Reciprocal rank of the first relevant result; its mean over queries is MRR."""

from __future__ import annotations

import numba
import numpy as np

from aeret.evaluation.metrics.definition import BY_QUERY, Definition, Options, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values


def _reciprocal_rank(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    out = np.empty((len(ranked.relevant), len(cutoffs)))
    _first(ranked.hits, ranked.sizes, cutoffs, out)
    return out


@numba.njit(nogil=True, cache=True)
def _first(hits, sizes, cutoffs, out):  # type: ignore[no-untyped-def]
    tied = sizes.shape[1] > 0
    for i in range(hits.shape[0]):
        column, place = 0, 0
        while column < hits.shape[1] and hits[i, column] == 0:
            place += sizes[i, column] if tied else 1
            column += 1
        out[i] = 0.0
        if column == hits.shape[1]:
            continue
        size, relevant = (sizes[i, column], np.int32(hits[i, column])) if tied else (np.int32(1), np.int32(1))
        chance = relevant / size
        # The chance that the tie's first hit is its j-th result.
        for j in range(1, size - relevant + 2):
            for c in range(cutoffs.shape[0]):
                if place + j <= cutoffs[c]:
                    out[i, c] += chance / (place + j)
            if j < size:
                chance *= (size - relevant - j + 1) / (size - j)


RECIPROCAL_RANK = Definition(
    title="reciprocal rank (its mean is MRR)",
    text="One over the rank of the first relevant result; 0 where there is none among the first k.",
    formula="RR = 1 / min{i: rel(i) = 1}",
    bounds="0 to 1; looks at one result alone: 1, 1/2, 1/3 ...",
    source="Voorhees 1999",
    worked="the first relevant result has rank 2: 1 / 2 = 0.5",
    compute=_reciprocal_rank,
    cutoff="optional",
    parameters=parameters(BY_QUERY),
)
