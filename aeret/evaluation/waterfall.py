"""Measure what each shortcut of a search costs, from exact to hashed with exact re-scoring.

The first steps are the evaluation's own searches. ``compressed`` scans product-quantised vectors, ``hashed`` scans
binary codes (ITQ), ``re-ranked`` scores the first results of ``hashed`` again with the vectors themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.evaluation import tables
from aeret.evaluation.measures import PerQuery
from aeret.evaluation.significance import bootstrap_interval
from aeret.progress import Progress, silent
from aeret.retrieval.indexes import INDEXES
from aeret.retrieval.indexes.index import Index
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers import RERANKERS
from aeret.retrieval.sign_codes import fit_sign_codes
from aeret.rng import generator

BITS, BLOCK, _SPARE = 64, 100, 4
"""Bits of a binary code; results that are scored again, at least, and times the results wanted."""
_MEMBER = 16  # bytes a photo of the lists of cluster members
SMALLEST = 32
"""Galleries of fewer photos are not compressed: there would be nothing to learn codes from."""
COLUMNS = (
    "step", "measure", "value", "low", "high", "from_exact", "from_exact_low", "from_exact_high",
    "bytes_per_photo",
)  # fmt: skip
CLASS_COLUMNS = ("category", "queries")


@dataclass(frozen=True)
class Step:
    """One way to search."""

    name: str
    ranking: Ranking
    seconds: float
    """Of the search of all queries, nothing else; on the run's machine."""
    bytes_per_photo: float
    """Of codes, ids and structures that the search needs in memory."""


def waterfall_steps(
    own: Mapping[str, tuple[Ranking, float]],
    queries: Vectors,
    gallery: Vectors,
    exclude: NDArray[np.int64],
    seed: int,
    threads: int = 0,
    progress: Progress = silent,
) -> list[Step]:
    """Return the evaluation's own searches, then (from 32 photos on) ``compressed``, ``hashed`` and ``re-ranked``.

    Args:
        own: name to ranking and seconds; the exact search, then the leading one.
        queries: checked and normalised as searched (Euclidean), float32 (q, d).
        gallery: likewise, float32 (g, d).
        exclude: gallery row left out of each query's results, or -1; int64 (q,).
        seed: the run's seed.
        threads: 0 means one per core.
        progress: shows the work.
    """
    exact, vector = next(iter(own)), 4 * gallery.shape[1] + 8
    steps = [
        Step(name, ranking, seconds, vector if name == exact else vector + _MEMBER)
        for name, (ranking, seconds) in own.items()
    ]
    if len(gallery) < SMALLEST:
        return steps
    n, width = steps[0].ranking.rows.shape[1], gallery.shape[1]
    built: dict[str, Any] = {"seed": seed, "progress": progress}
    compressed = INDEXES["pq"].build(gallery, metric="euclidean", **built)

    def searched(index: Index, asked: NDArray[Any], results: int) -> tuple[Ranking, float]:
        return _timed(
            lambda rows: index.search(asked[rows], results, exclude=exclude[rows], threads=threads, progress=progress)
        )

    steps.append(Step("compressed", *searched(compressed, queries, n), compressed.bytes_per_vector))
    bits = min(BITS, width, len(gallery) - 1) // 8 * 8
    if bits < 8:
        return steps
    codes = fit_sign_codes(gallery, bits, seed)
    hashed = INDEXES["binary-flat"].build(codes.encode(gallery), **built)
    # Re-score more candidates than are returned: re-ranking the same N cannot recover a missed one.
    block = max(BLOCK, _SPARE * n)
    found, seconds = searched(hashed, codes.encode(queries), block)
    steps.append(Step("hashed", found.top(n), seconds, hashed.bytes_per_vector))

    def again(rows: slice) -> Ranking:
        some = Ranking(found.rows[rows], found.distances[rows], found.scanned[rows], found.probes[rows])
        return RERANKERS["exact"].rerank(queries[rows], some, gallery, top=block, progress=progress)

    ranking, more = _timed(again)
    steps.append(Step("re-ranked", ranking.top(n), seconds + more, hashed.bytes_per_vector + 4 * width))
    return steps


def waterfall_table(steps: Sequence[Step], values: Sequence[PerQuery], names: Sequence[str], seed: int) -> pd.DataFrame:
    """Return one row per step and measure: the mean and its difference from the first step, with 95 % intervals.

    Args:
        steps: the first is what the others are held against.
        values: per-query values of each step.
        names: measures of them that are shown.
        seed: of the bootstrap over queries, the same draws for all.
    """
    rows = []
    reference = np.stack([values[0][name] for name in names], axis=1)
    for step, each in zip(steps, values, strict=True):
        own = np.stack([each[name] for name in names], axis=1)
        numbers: list[Any] = []
        for part in (own, own - reference):
            ends = bootstrap_interval(part, generator(seed, "bootstrap"), tables.RESAMPLES)
            numbers += [[tables.mean(column) for column in part.T], *ends]
        for name, *record in zip(names, *numbers, strict=True):
            rows.append(dict(zip(COLUMNS, (step.name, name, *record, step.bytes_per_photo), strict=True)))
    return tables.table(rows, COLUMNS)


def milliseconds(steps: Sequence[Step]) -> dict[str, float]:
    """Return the time of one query in each step, ms: the batch's time over its queries. The one number that varies."""
    return {step.name: 1000 * step.seconds / max(1, len(step.ranking)) for step in steps}


def class_losses(
    steps: Sequence[Step], shares: Mapping[str, NDArray[np.float64]], categories: Sequence[str]
) -> pd.DataFrame:
    """Return one row per category that a query holds: mean of its per-query values in each step.

    ``shares`` are of each step the values per query and own class, float64 (q, c), NaN elsewhere.
    """
    rows = []
    for place, category in enumerate(categories):
        values = {step.name: shares[step.name][:, place] for step in steps}
        count = int(np.isfinite(values[steps[0].name]).sum())
        if count:
            rows.append(
                {"category": category, "queries": count, **{name: tables.mean(each) for name, each in values.items()}}
            )
    return tables.table(rows, (*CLASS_COLUMNS, *(step.name for step in steps)))


def spill_table(ranking: Ranking) -> pd.DataFrame:
    """Return how many queries visited how many clusters until they had their results: clusters, queries, share."""
    clusters, queries = np.unique(ranking.probes, return_counts=True)
    return pd.DataFrame({"clusters": clusters, "queries": queries, "share": queries / max(1, len(ranking))})


def _timed(search: Callable[[slice], Ranking]) -> tuple[Ranking, float]:
    search(slice(0, 1))  # loads or compiles kernels
    start = time.perf_counter()
    ranking = search(slice(None))
    return ranking, time.perf_counter() - start
