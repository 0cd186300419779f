"""What a measure is computed from: the results of some queries, judged, in order or in groups of ties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Counts = NDArray[np.int64]

EVERYTHING = 2**62
"""The cut-off of a measure that has none."""


@dataclass(frozen=True)
class Ranked:
    """Results of ``p`` queries (or of ``p`` pairs of a query and a class), best first.

    Without ``sizes``, column r is the result at rank r + 1. With them, it is the r-th group of results that are equally
    far: ``sizes`` many, and ``hits`` and ``gains`` are sums over the group; empty groups may follow.
    """

    relevant: Counts
    """Relevant photos of the gallery, int64 (p,)."""
    candidates: Counts
    """Photos that could be found, int64 (p,)."""
    hits: NDArray[Any]
    """Relevant results, uint8 (p, N), or int32 (p, T) of groups; (p, 0) where only gains are wanted."""
    sizes: NDArray[np.int32]
    """Results in each group, int32 (p, T); (p, 0) where ties are broken."""
    gains: Values
    """Graded gains, float64 (p, N) or (p, T); (p, 0) where only hits are wanted."""
    ideal: Values
    """The largest gains of the gallery, falling, float64 (p, K)."""

    def cutoffs(self, cutoffs: Counts) -> Counts:
        """Return cut-offs int64 (m,) as the kernels want them, int64 (1, m)."""
        return cutoffs.reshape(1, -1)

    def found(self, cutoffs: Counts) -> Values:
        """Return the (expected) hits up to each cut-off, float64 (p, m).

        Args:
            cutoffs: rising, int64 (1, m) or of each query (p, m).
        """
        out = np.empty((len(self.relevant), cutoffs.shape[1]))
        _found(self.hits, self.sizes, cutoffs, out)
        return out


def all_hits(hits: NDArray[Any]) -> Counts:
    """Return the hits of each query, int64 (p,), of uint8 (p, N) or int32 (p, T) of groups."""
    out = np.empty(len(hits), np.int64)
    _all_hits(hits, out)
    return out


@numba.njit(nogil=True, cache=True)
def _all_hits(hits, out):  # type: ignore[no-untyped-def]
    for i in range(hits.shape[0]):
        total = 0
        for r in range(hits.shape[1]):
            total += hits[i, r]
        out[i] = total


@numba.njit(nogil=True, cache=True)
def _found(hits, sizes, cutoffs, out):  # type: ignore[no-untyped-def]
    tied = sizes.shape[1] > 0
    for i in range(hits.shape[0]):
        cuts = cutoffs[min(i, cutoffs.shape[0] - 1)]
        column, place, total = 0, 0, 0.0
        for c in range(cuts.shape[0]):
            cut = cuts[c]
            if tied:
                while column < hits.shape[1] and place + sizes[i, column] <= cut:
                    total += hits[i, column]
                    place += sizes[i, column]
                    column += 1
                part = 0.0
                if column < hits.shape[1]:
                    part = (cut - place) * hits[i, column] / sizes[i, column]
                out[i, c] = total + part
            else:
                last = min(cut, hits.shape[1])
                inside = 0
                for r in range(column, last):
                    inside += hits[i, r]
                column = max(column, last)
                total += inside
                out[i, c] = total
