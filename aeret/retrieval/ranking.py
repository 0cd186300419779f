"""Define the record that every search returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError


@dataclass(frozen=True)
class Ranking:
    """Hold the results of ``q`` queries, best first, exactly min(N, gallery without self) of each."""

    rows: NDArray[np.int64]
    """Rows of the gallery, or ids if an index was searched; int64 (q, N)."""
    distances: NDArray[np.float32]
    """Distances to the query, smaller where nearer, float32 (q, N): Euclidean, or of an index by its metric 1 - cosine,
    Euclidean, the negated dot product, or bits. They rise along a row, except across clusters of a strict
    ``sequential`` search, and after a re-ranker, which moves rows with the distances they have."""
    scanned: NDArray[np.int64]
    """Gallery vectors compared with each query, self not counted, int64 (q,)."""
    probes: NDArray[np.int64]
    """Non-empty clusters (of an index: lists, leaves or buckets) visited, int64 (q,); 0 for an exhaustive search."""

    def __post_init__(self) -> None:
        queries, results = self.rows.shape
        shapes = (self.distances.shape, self.scanned.shape, self.probes.shape)
        if shapes != ((queries, results), (queries,), (queries,)):
            raise UsageError(f"A ranking of rows {self.rows.shape} cannot have distances, scanned, probes of {shapes}.")

    def __len__(self) -> int:
        return len(self.rows)

    def top(self, results: int) -> Ranking:
        """Return the first ``results`` columns; ``scanned`` and ``probes`` stay those of the longer search."""
        return Ranking(self.rows[:, :results], self.distances[:, :results], self.scanned, self.probes)

    def agreement(self, other: Ranking, results: int) -> NDArray[np.float64]:
        """Return the share of ``other``'s first ``results`` that are among this one's, float64 (q,)."""
        mine, theirs = self.rows[:, :results], other.rows[:, :results]
        if mine.shape != theirs.shape:
            raise UsageError(f"Rankings of {mine.shape} and {theirs.shape} results cannot be compared.")
        # In a row of both, sorted, what occurs twice is shared.
        merged = np.sort(np.concatenate([mine, theirs], axis=1), axis=1)
        shared = np.count_nonzero(merged[:, 1:] == merged[:, :-1], axis=1)
        return np.asarray(shared / mine.shape[1] if mine.shape[1] else np.ones(len(mine)), np.float64)
