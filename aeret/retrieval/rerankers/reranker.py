"""What all re-rankers share: they look at the first ``top`` results of one query at a time, and permute them.

- **Only the block.** Re-rankers see the query and its first ``top`` results. Nothing is asked of the rest of the
  gallery, so a query costs the same among ten thousand photos and among ten million; results beyond ``top`` stay where
  they are. Two say in their files what else they read: ``rocchio`` the photos that were judged, ``dba`` the neighbours
  of results.
- **One query at a time.** No query sees another, as in service. (Published code of k-reciprocal re-ranking works on all
  queries jointly, by which each profits from the others.) A query that is itself in the gallery takes no part, as the
  search has left it out of its results.
- **Order.** Equal scores keep the order of the input (``exact``: by row). The order of a query depends on its own
  vectors alone, to the last bit: not on the batch it comes in, nor on the number of threads.
- **Distances stay those of the search**: each row keeps its own, the distance to the query, so they no longer rise
  along the block. What a re-ranker orders by (a probability, a cosine to another query) is no distance and is not
  returned. Only ``exact`` writes them, since it measures them anew.
- **Memory.** Each thread holds one query's block: ``top`` vectors a few times over, and in re-rankers that compare
  results with each other a few matrices of (top + 1) squared float64; these refuse a ``top`` of more than 4,096.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked
from aeret.embeddings.one_thread import one_blas_thread
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers.options import Option, checked_options

LARGEST_PAIRWISE = 4096
_AT_ONCE = 2**20  # numbers gathered in one block of queries


@dataclass(frozen=True)
class Block:
    """One query and its first results."""

    query: Vectors
    """float32 (d,), as given."""
    vectors: Vectors
    """float32 (k, d), as given, best first."""
    rows: NDArray[np.int64]
    """Their gallery rows, int64 (k,)."""
    number: int
    """Which query of the ranking."""
    gallery: NDArray[np.floating]
    """The whole gallery, for what the user named in it."""


Score = Callable[[Block, Mapping[str, Any]], NDArray[np.floating] | None]


@dataclass(frozen=True)
class Task:
    """All of what is to be re-ranked."""

    ranking: Ranking
    gallery: NDArray[np.floating]
    top: int
    threads: int


Prepare = Callable[[dict[str, Any], Task], None]


@dataclass(frozen=True)
class Reranker:
    """A way to put the first results of a search into another order."""

    name: str
    paper: str
    options: Mapping[str, Option]
    score: Score
    """Scores (k,) of a block's rows, smaller is nearer; None keeps the order."""
    pairwise: bool = True
    """Compares results with each other: memory grows with the square of ``top``."""
    measure: Callable[[NDArray[Any], Mapping[str, Any]], Vectors] | None = None
    """Turns scores into distances to the query that replace those of the ranking; equal ones then go by row."""
    blas: bool = False
    """Uses matrix products, which are then kept to one thread each so that their last bit is always the same."""
    prepare: Prepare | None = None
    """Checks options against the task, and loads or finds what they need; changes the dict it is given."""

    def rerank(
        self,
        queries: NDArray[np.floating],
        ranking: Ranking,
        gallery: NDArray[np.floating],
        *,
        top: int = 100,
        threads: int = 0,
        progress: Progress = silent,
        **options: Any,
    ) -> Ranking:
        """Return the ranking with its first ``top`` results in another order; equal scores keep theirs.

        Args:
            queries: float32 (q, d), the ones that were searched for.
            ranking: of the queries; its rows are rows of ``gallery``.
            gallery: float32 (g, d); may be memory-mapped, only rows in the block are read.
            top: results looked at; all where the ranking has fewer.
            threads: 0 means one per core; never changes a result.
            progress: shows queries done.
            options: of this re-ranker, see :attr:`options`.

        Returns:
            The same rows for each query; ``distances`` go with their rows (``exact`` measures those of the block anew);
            ``scanned`` and ``probes`` are those of the search.

        Raises:
            UsageError: shapes do not fit, rows lie outside the gallery, values are not finite, or an option is wrong.
        """
        if gallery.ndim != 2:
            raise UsageError(f"Gallery embeddings must be a matrix (n, d); got an array of shape {gallery.shape}.")
        queries = checked(queries, "Query embeddings", gallery.shape[1])
        if len(queries) != len(ranking):
            raise UsageError(f"A ranking of {len(ranking)} queries does not fit {len(queries)} query embeddings.")
        if isinstance(top, bool) or top < 1:
            raise UsageError(f"top is how many results are re-ranked, at least 1; got {top!r}.")
        rows = ranking.rows
        top = min(int(top), rows.shape[1])
        if self.pairwise and top > LARGEST_PAIRWISE:
            raise UsageError(
                f"{self.name!r} compares results with each other and takes at most top={LARGEST_PAIRWISE}, got {top}; "
                "lower top."
            )
        if rows.size and not (rows.min() >= 0 and rows.max() < len(gallery)):
            raise UsageError(
                f"The ranking's rows run from {rows.min()} to {rows.max()}, the gallery has {len(gallery)} vectors: "
                "rows must be rows of the gallery. Where an index has ids of its own, its rows(ids) gives them."
            )
        values = checked_options(self.options, options, self.name)
        if self.prepare is not None:
            self.prepare(values, Task(ranking, gallery, top, threads))
        return self._rerank(queries, ranking, gallery, top, threads, progress, values)

    def _rerank(
        self,
        queries: Vectors,
        ranking: Ranking,
        gallery: NDArray[np.floating],
        top: int,
        threads: int,
        progress: Progress,
        values: Mapping[str, Any],
    ) -> Ranking:
        rows, distances = ranking.rows.copy(), ranking.distances.copy()

        def work(start: int, stop: int) -> None:
            for number in range(start, stop):
                chosen = ranking.rows[number, :top]
                vectors = np.ascontiguousarray(gallery[chosen], np.float32)
                # The gallery is checked where it is read: a whole one may be larger than memory.
                if not (vectors.min() >= -_LARGEST and vectors.max() <= _LARGEST):
                    bad = chosen[np.flatnonzero(~(np.abs(vectors) <= _LARGEST).all(axis=1))[0]]
                    raise UsageError(
                        f"Gallery embeddings hold NaN, infinity or values beyond {_LARGEST:g} in row {bad}."
                    )
                scores = self.score(Block(queries[number], vectors, chosen, number, gallery), values)
                if scores is None:
                    continue
                if self.measure is None:
                    order, own = np.argsort(scores, kind="stable"), ranking.distances[number, :top]
                else:
                    order, own = np.lexsort((chosen, scores)), self.measure(scores, values)
                rows[number, :top], distances[number, :top] = chosen[order], own[order]

        size = max(1, _AT_ONCE // max(1, top * gallery.shape[1]))
        limits = one_blas_thread() if self.blas else nullcontext()
        with progress(f"re-rank, {self.name}", len(queries), unit="query") as step, limits:
            if top:
                for _ in over_blocks(len(queries), size, work, threads, step):
                    pass
        return Ranking(rows, distances, ranking.scanned, ranking.probes)


_LARGEST = 1e15
