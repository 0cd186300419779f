"""Measure indexes on the run's own queries by the task's measure, and choose one.

Neighbour recall says how much of an exact search survives; what counts is how much of the *measure* does, and the two
are not the same: on many collections an index that loses a third of the exact neighbours loses nothing that a user
would see. So a plan measures both and chooses by the measure.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.errors import AeretError, UsageError
from aeret.evaluation.significance import bootstrap_interval
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.retrieval.indexes import INDEXES
from aeret.retrieval.indexes.index import Index
from aeret.retrieval.ranking import Ranking
from aeret.rng import generator

COLUMNS = (
    "index", "options", "knobs", "value", "low", "high", "recall", "ms", "bytes_per_photo", "megabytes",
    "build_seconds", "fits", "pareto", "chosen",
)  # fmt: skip
_SINGLE, _LEAST_SINGLE, _SINGLE_MS, _RESAMPLES = 200, 20, 2000.0, 2000


@dataclass(frozen=True)
class Budget:
    """Limits of an index."""

    megabytes: float
    """Of memory for the whole gallery, in units of 10^6 bytes."""
    milliseconds: float
    """Median time of one query asked alone, on one thread."""


@dataclass(frozen=True)
class Question:
    """What all indexes are asked, and how their answers are judged."""

    queries: Vectors
    """The run's own, float32 (q, d)."""
    gallery: Vectors
    """float32 (g, d)."""
    exclude: NDArray[np.int64]
    """Gallery row left out of each query's results, or -1; int64 (q,)."""
    n: int
    """Results per query."""
    score: Callable[[Ranking], NDArray[np.float64]] = field(repr=False)
    """From a ranking to the measure of each query, float64 (q,), NaN where skipped."""
    metric: str = "cosine"
    seed: int = 0

    @cached_property
    def exact(self) -> Ranking:
        """The exhaustive ranking."""
        return self.put_to(INDEXES["flat"].build(self.gallery, metric=self.metric))

    def put_to(self, index: Index, threads: int = 0, progress: Progress = silent, **knobs: Any) -> Ranking:
        """Return the answer of an index."""
        return index.search(self.queries, self.n, exclude=self.exclude, threads=threads, progress=progress, **knobs)


@dataclass(frozen=True)
class Trial:
    """One index with one setting of its knobs, measured."""

    index: str
    options: Mapping[str, Any]
    knobs: Mapping[str, Any]
    value: float
    """Mean of the measure over queries."""
    low: float
    """Ends of its 95 % bootstrap interval."""
    high: float
    recall: float
    """Share of the exact results that were found."""
    ms: float
    """Median milliseconds of one query asked alone, on one thread."""
    bytes_per_photo: float
    megabytes: float
    build_seconds: float
    values: NDArray[np.float64] = field(repr=False)
    """The measure of each query, float64 (q,), NaN where skipped."""
    fits: bool = False
    pareto: bool = False
    """No other trial is at least as good in value, ms and memory, and better in one of them."""
    chosen: bool = False


def candidates(width: int, gallery: int, kinds: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield index kinds and build options worth trying for a gallery.

    Args:
        width: dimensions of an embedding.
        gallery: photos.
        kinds: keys of ``INDEXES``; binary ones are left out, they take codes.

    Raises:
        UnknownNameError: a kind is none.
    """
    for kind in kinds:
        index = lookup(INDEXES, kind, "index")
        if index.METRICS == ("hamming",):
            continue
        if "parts" in index.OPTIONS:
            # A byte for 2, 4 and 8 dimensions.
            yield from ((kind, {"parts": width // each}) for each in (2, 4, 8) if width % each == 0)
        elif kind == "sq":
            yield from ((kind, {"bits": bits}) for bits in (8, 4))
        else:
            yield kind, {}


def try_index(
    kind: str,
    options: Mapping[str, Any],
    question: Question,
    budget: Budget,
    *,
    threads: int = 0,
    progress: Progress = silent,
) -> list[Trial]:
    """Build one index and measure it at every setting of its knobs.

    Args:
        kind: key of ``INDEXES``.
        options: of its build.
        question: put to the index.
        budget: limits of memory and time.
        threads: of the batch search; 0 means one per core. Times are of one thread.
        progress: shows the work.
    """
    start = time.perf_counter()
    index = INDEXES[kind].build(
        question.gallery, metric=question.metric, seed=question.seed, progress=progress, **options
    )
    built = time.perf_counter() - start
    megabytes = index.bytes_per_vector * len(index) / 1e6
    trials = []
    for knobs in _knob_settings(index):
        ranking = question.put_to(index, threads, progress, **knobs)
        values = question.score(ranking)
        low, high = bootstrap_interval(values[:, None], generator(question.seed, "bootstrap"), _RESAMPLES)
        ms = _single_query_ms(index, question, knobs)
        trials.append(
            Trial(
                kind,
                dict(options),
                knobs,
                float(np.nanmean(values)),
                float(low[0]),
                float(high[0]),
                float(ranking.agreement(question.exact, question.exact.rows.shape[1]).mean()),
                ms,
                index.bytes_per_vector,
                megabytes,
                built,
                values,
                fits=megabytes <= budget.megabytes and ms <= budget.milliseconds,
            )
        )
    return trials


def plan(
    question: Question,
    budget: Budget,
    kinds: Sequence[str] = (),
    *,
    threads: int = 0,
    progress: Progress = silent,
    note: Callable[[str], None] = lambda text: None,
) -> list[Trial]:
    """Measure candidates and choose the best within the budget; break ties by size, then speed.

    "Best" allows for chance: a trial is as good as the best one unless the 95 % interval of their difference, query by
    query, lies below zero; the smallest of those as good is chosen.

    Args:
        question: put to all indexes.
        budget: limits of memory and time.
        kinds: indexes to try; all if none is named.
        threads: of the batch searches; 0 means one per core.
        progress: shows the work.
        note: receives a line on each candidate that cannot be built for this gallery, and why.

    Returns:
        All trials, by value, best first; one is ``chosen`` unless none fits.

    Raises:
        UsageError: nothing could be tried.
    """
    trials: list[Trial] = []
    for kind, options in candidates(question.gallery.shape[1], len(question.gallery), kinds or tuple(INDEXES)):
        try:
            trials += try_index(kind, options, question, budget, threads=threads, progress=progress)
        except AeretError as error:
            note(f"{kind} {_words(options)} is left out: {error}")
    if not trials:
        raise UsageError("None of the indexes could be built for this gallery; see the notes above, or name others.")
    return _chosen(_with_front(trials), question.seed)


def plan_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """Return one row a trial; options and knobs as text."""
    rows = [{name: getattr(trial, name) for name in COLUMNS} for trial in trials]
    for row in rows:
        row["options"], row["knobs"] = _words(row["options"]), _words(row["knobs"])
    return pd.DataFrame(rows, columns=pd.Index(list(COLUMNS)))


def _words(values: Mapping[str, Any]) -> str:
    return " ".join(f"{name}={_short(value)}" for name, value in values.items())


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "all" if value == float("inf") else f"{value:g}"


def _knob_settings(index: Index) -> list[dict[str, Any]]:
    names = list(index.KNOBS)
    settings = [dict(zip(names, values, strict=True)) for values in itertools.product(*index.KNOBS.values())]
    if "order" not in names:
        return settings
    # A strict order takes no notice of a minimum of probes.
    least = min(index.KNOBS["min_probes"], key=float)
    return [each for each in settings if each["order"] != "sequential" or each["min_probes"] == least]


def _single_query_ms(index: Index, question: Question, knobs: Mapping[str, Any]) -> float:
    times: list[float] = []
    for row in range(min(_SINGLE, len(question.queries))):
        if len(times) >= _LEAST_SINGLE and sum(times) > _SINGLE_MS:
            break
        one = slice(row, row + 1)
        start = time.perf_counter()
        index.search(question.queries[one], question.n, exclude=question.exclude[one], threads=1, **knobs)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def _with_front(trials: Sequence[Trial]) -> list[Trial]:
    def beats(other: Trial, one: Trial) -> bool:
        mine, theirs = (-one.value, one.ms, one.megabytes), (-other.value, other.ms, other.megabytes)
        return theirs != mine and all(a <= b for a, b in zip(theirs, mine, strict=True))

    return [replace(one, pareto=not any(beats(other, one) for other in trials)) for one in trials]


def _chosen(trials: Sequence[Trial], seed: int) -> list[Trial]:
    ordered = sorted(trials, key=lambda trial: (-trial.value, trial.megabytes, trial.ms))
    within = [trial for trial in ordered if trial.fits]
    if not within:
        return ordered
    lost = np.stack([trial.values - within[0].values for trial in within], axis=1)
    _, high = bootstrap_interval(lost, generator(seed, "bootstrap"), _RESAMPLES)
    as_good = [trial for trial, most in zip(within, high, strict=True) if most >= 0]
    winner = min(as_good, key=lambda trial: (trial.megabytes, trial.ms, -trial.value))
    return [replace(trial, chosen=trial is winner) for trial in ordered]
