"""Hold the judged results that measures are computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Counts = NDArray[np.int64]

EVERYTHING = 2**62
"""The cut-off of a measure that has none."""


@dataclass(frozen=True)
class Ties:
    """Groups of equally distant results, described at every rank of the group, int64 (p, N) each."""

    size: Counts
    """Results in the group."""
    hits: Counts
    """Relevant results in the group."""
    before: Counts
    """Results before the group."""
    found: Counts
    """Relevant results before the group."""

    @classmethod
    def of(cls, hits: NDArray[Any], tied: NDArray[np.bool_]) -> Ties:
        """Describe the groups of results in order.

        Args:
            hits: 0 or 1, integers (p, N).
            tied: whether each result is as far as the one before it, bool (p, N).
        """
        rows, width = hits.shape
        first = ~tied
        first[:, :1] = True
        group = np.cumsum(first, axis=1) - 1 + np.arange(rows)[:, None] * width
        groups = max(1, rows * width)
        size = np.bincount(group.ravel(), minlength=groups)
        sums = np.rint(np.bincount(group.ravel(), weights=hits.ravel(), minlength=groups)).astype(np.int64)
        size, own = size[group], sums[group]
        starts = np.maximum.accumulate(np.where(first, np.arange(width), 0), axis=1)
        before_each = np.cumsum(hits, axis=1, dtype=np.int64) - hits
        return cls(size, own, starts, np.take_along_axis(before_each, starts, axis=1))

    @property
    def place(self) -> Counts:
        """Place within the group, from 1, int64 (p, N)."""
        return np.arange(1, self.size.shape[1] + 1) - self.before


@dataclass(frozen=True)
class Ranked:
    """Results of ``p`` queries (or of ``p`` pairs of a query and a class), best first.

    With ``ties``, hits and gains are expected values: each result of a group has the group's mean.
    """

    relevant: Counts
    """Relevant photos of the gallery, int64 (p,)."""
    candidates: Counts
    """Photos that could be found, int64 (p,)."""
    hits: NDArray[Any]
    """Relevance of each result, 0 to 1, (p, N)."""
    gains: Values
    """Graded gains, float64 (p, N); (p, 0) for measures of hits."""
    ideal: Values
    """The largest gains of the gallery in descending order, float64 (p, K)."""
    ties: Ties | None = None

    def found(self, cutoffs: Counts) -> Values:
        """Return the (expected) hits up to each cut-off, float64 (p, m).

        Args:
            cutoffs: int64 (m,), or (p, m) if they differ between queries.
        """
        return at_cutoffs(self.running, cutoffs)

    @cached_property
    def running(self) -> Values:
        """(Expected) hits up to each rank, float64 (p, N)."""
        return np.cumsum(self.hits, axis=1, dtype=np.float64)


def at_cutoffs(sums: Values, cutoffs: Counts) -> Values:
    """Return running sums (p, N) at cut-offs (m,) or (p, m), float64 (p, m); 0 for no results."""
    cuts = np.broadcast_to(cutoffs, (len(sums), cutoffs.shape[-1]))
    padded = np.concatenate([np.zeros((len(sums), 1)), sums], axis=1)
    return np.take_along_axis(padded, np.clip(cuts, 0, sums.shape[1]), axis=1)
