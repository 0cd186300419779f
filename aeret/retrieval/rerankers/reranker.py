"""Re-order the first results of each query: what all re-rankers share.

Results beyond ``top`` keep their places, and equal float32 scores keep the order of the search. Each row keeps the
distance that the search gave it, so distances no longer rise; ``exact`` alone replaces them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, checked
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers.options import Option, checked_options

LARGEST_PAIRWISE = 4096
"""Largest ``top`` of re-rankers that compare results with each other: (top + 1)^2 float64 numbers, a few times."""
_LARGEST = 1e15
Scores = NDArray[np.floating]


@dataclass(frozen=True)
class Candidates:
    """One query and the results that are re-ranked."""

    query: Vectors
    """float32 (d,), as given."""
    vectors: Vectors
    """float32 (k, d), as given, best first."""
    rows: NDArray[np.int64]
    """Gallery rows of ``vectors``, int64 (k,)."""
    number: int
    """Place of the query in the ranking."""
    gallery: NDArray[np.floating]
    """The whole gallery, float32 (g, d)."""


@dataclass(frozen=True)
class Reranker:
    """A way to re-order the first results of a search."""

    name: str
    paper: str
    options: Mapping[str, Option]
    score: Callable[[Candidates, Mapping[str, Any]], Scores | None]
    """Scores (k,) of the candidates, smaller is nearer; None keeps the order."""
    pairwise: bool = True
    """Whether it compares results with each other, so that memory grows with the square of ``top``."""
    measures: bool = False
    """Whether scores are distances to the query: they replace the search's, and ties go by row."""
    prepare: Callable[[dict[str, Any], Ranking, NDArray[np.floating]], None] | None = None
    """Checks options against the ranking (cut at ``top``) and the gallery, and changes the dict in place."""

    def rerank(
        self,
        queries: NDArray[np.floating],
        ranking: Ranking,
        gallery: NDArray[np.floating],
        *,
        top: int = 100,
        progress: Progress = silent,
        **options: Any,
    ) -> Ranking:
        """Return the ranking with its first ``top`` results in another order.

        Args:
            queries: float32 (q, d), in the order of the ranking.
            ranking: of the queries; its rows are rows of ``gallery``.
            gallery: float32 (g, d); may be memory-mapped.
            top: results that are re-ranked, or all if the ranking has fewer.
            progress: shows finished queries.
            options: see :attr:`options`.

        Raises:
            UsageError: shapes do not fit, rows are outside the gallery, values are not finite, or an option is wrong.
            UnknownNameError: an option does not exist.

        Example:
            >>> RERANKERS["alpha-qe"].rerank(queries, ranking, gallery, top=100, alpha=3)  # doctest: +SKIP
        """
        queries = self._checked(queries, ranking, gallery, top)
        top = min(int(top), ranking.rows.shape[1])
        values = checked_options(self.options, options, self.name)
        if self.prepare is not None:
            self.prepare(values, ranking.top(top), gallery)
        rows, distances = ranking.rows.copy(), ranking.distances.copy()
        with progress(f"re-rank, {self.name}", len(queries), unit="query") as step:
            for number in range(len(queries) if top else 0):
                chosen = ranking.rows[number, :top]
                found = Candidates(queries[number], _read(gallery, chosen), chosen, number, gallery)
                scores = self.score(found, values)
                if scores is not None:
                    scores = np.asarray(scores, np.float32)
                    order = np.lexsort((chosen, scores)) if self.measures else np.argsort(scores, kind="stable")
                    own = scores if self.measures else ranking.distances[number, :top]
                    rows[number, :top], distances[number, :top] = chosen[order], own[order]
                step(1)
        return Ranking(rows, distances, ranking.scanned, ranking.probes)

    def _checked(
        self, queries: NDArray[np.floating], ranking: Ranking, gallery: NDArray[np.floating], top: int
    ) -> Vectors:
        if gallery.ndim != 2:
            raise UsageError(f"Gallery embeddings must be a matrix (n, d); got an array of shape {gallery.shape}.")
        queries = checked(queries, "Query embeddings", gallery.shape[1])
        if len(queries) != len(ranking):
            raise UsageError(f"A ranking of {len(ranking)} queries does not fit {len(queries)} query embeddings.")
        if isinstance(top, bool) or top < 1:
            raise UsageError(f"top is how many results are re-ranked, at least 1; got {top!r}.")
        rows = ranking.rows
        if self.pairwise and min(top, rows.shape[1]) > LARGEST_PAIRWISE:
            raise UsageError(
                f"{self.name!r} compares results with each other and takes at most top={LARGEST_PAIRWISE}, got {top}; "
                "lower top."
            )
        if rows.size and not (rows.min() >= 0 and rows.max() < len(gallery)):
            raise UsageError(
                f"The ranking's rows run from {rows.min()} to {rows.max()}, the gallery has {len(gallery)} vectors: "
                "rows must be rows of the gallery. If an index has ids of its own, its rows(ids) gives them."
            )
        return queries


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Return a vector (d,), or several (n, d), scaled to length 1, float32; zeros stay zeros."""
    return l2_normalise(vectors.reshape(-1, vectors.shape[-1])).reshape(vectors.shape)


def cosines(ours: Vectors, theirs: Vectors) -> Vectors:
    """Return the products, float32 (..., m), of unit vectors (..., d) and (m, d); equal vectors give equal ones."""
    # Summed in float64 and rounded, so that the order of summation does not decide between equal vectors.
    return np.asarray(ours.astype(np.float64) @ theirs.T.astype(np.float64), np.float32)


def _read(gallery: NDArray[np.floating], rows: NDArray[np.int64]) -> Vectors:
    # Values are checked here and not before: a whole memory-mapped gallery may be larger than memory.
    vectors = np.ascontiguousarray(gallery[rows], np.float32)
    if not (vectors.min() >= -_LARGEST and vectors.max() <= _LARGEST):
        bad = rows[np.flatnonzero(~(np.abs(vectors) <= _LARGEST).all(axis=1))[0]]
        raise UsageError(f"Gallery embeddings hold NaN, infinity or values beyond {_LARGEST:g} in row {bad}.")
    return vectors
