"""Area under the ROC curve."""

from __future__ import annotations

import numba
import numpy as np

from aeret.evaluation.metrics.definition import BY_QUERY, Definition, Options, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values


def _auc(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    out = np.empty((len(ranked.relevant), 1))
    _ordered(ranked.hits, ranked.sizes, ranked.relevant, ranked.candidates, out)
    return out


def _known(ranked: Ranked) -> Values:
    return ((ranked.relevant > 0) & (ranked.relevant < ranked.candidates)).astype(np.float64)


@numba.njit(nogil=True, cache=True)
def _ordered(hits, sizes, relevant, candidates, out):  # type: ignore[no-untyped-def]
    tied = sizes.shape[1] > 0
    for i in range(hits.shape[0]):
        others = candidates[i] - relevant[i]
        # Twice the pairs in order, so that a tie's half is a whole number: exact.
        before, pairs = np.int64(0), np.int64(0)
        for r in range(hits.shape[1]):
            hit = np.int64(hits[i, r])
            miss = (np.int64(sizes[i, r]) if tied else np.int64(1)) - hit
            pairs += hit * (2 * (others - before) - (miss if tied else 0))
            before += miss
        out[i, 0] = pairs / (2 * others * relevant[i]) if others * relevant[i] else 0.0


AUC = Definition(
    title="area under the ROC curve",
    text="The chance that a relevant photo comes before one that is not.",
    formula="AUC = #{(a, b): a relevant, b not, a before b} / (R (M - R)), M photos that could be found; "
    "ties=expected: a tied pair counts 1/2",
    bounds="0 to 1, 0.5 by chance whatever R is; undefined, and treated as empty, where all photos are relevant.",
    source="Hanley and McNeil 1982",
    worked="6 photos are not relevant; 5, 5, 4 and 2 of them come after the hits: 16 / 24 = 0.6667",
    compute=_auc,
    cutoff="none",
    known=_known,
    parameters=parameters(BY_QUERY),
)
