"""The precision-recall curve."""

from __future__ import annotations

import numba
import numpy as np

from aeret.evaluation.metrics.definition import Definition, Options, parameters
from aeret.evaluation.metrics.ranked import Counts, Ranked, Values

LEVELS = 101
"""Recall levels of the curve: 0, 0.01, ..., 1."""


def _curve(ranked: Ranked, cutoffs: Counts, options: Options) -> Values:
    out = np.zeros((len(ranked.relevant), 1, LEVELS))
    _interpolated(ranked.hits, ranked.relevant, out)
    return out


@numba.njit(nogil=True, cache=True)
def _interpolated(hits, relevant, out):  # type: ignore[no-untyped-def]
    steps = out.shape[2] - 1
    positions = np.empty(hits.shape[1] + 1, np.int32)
    for i in range(hits.shape[0]):
        found = 0
        for r in range(hits.shape[1]):
            positions[found] = r + 1
            found += hits[i, r]
        best, level = 0.0, steps
        # Levels that the results do not reach have precision 0.
        while level >= 0 and level * relevant[i] > found * steps:
            level -= 1
        for h in range(found, 0, -1):
            best = max(best, h / positions[h - 1])
            # Recall h / R reaches every level l with l / 100 <= h / R that h - 1 does not reach.
            while level >= 0 and level * relevant[i] > (h - 1) * steps:
                out[i, 0, level] = best
                level -= 1
        out[i, 0, : level + 1] = best


CURVE = Definition(
    title="precision-recall curve",
    text="Precision at 101 levels of recall, interpolated: the best at this recall or beyond.",
    formula="PR(l) = max{P@i: R@i >= l}, l = 0, 0.01, ..., 1",
    bounds="0 to 1, never rising with recall; by chance R / M at every level.",
    source="Manning, Raghavan and Schuetze 2008, chapter 8",
    worked="up to recall 0.5 (51 points) the best is 2 of 3, then 3 of 5, beyond 0.75 4 of 8; the mean of the points: "
    "(51 x 2/3 + 25 x 3/5 + 25 x 4/8) / 101 = 0.6089",
    compute=_curve,
    cutoff="none",
    levels=LEVELS,
    parameters=parameters(ties=False),
)
