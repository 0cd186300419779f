"""Measure indexes on the run's own queries, and choose one by the task's measure.

An index may lose a third of the exact neighbours and nothing of the measure, so a plan reports both.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
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
        """Return an index's answer."""
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


def candidates(width: int, kinds: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield index kinds and build options worth trying for embeddings of ``width`` dimensions.

    Binary kinds are left out, since they take codes.

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

    ``threads`` are of the batch search (0 means one per core); times are of one thread.
    """
    start = time.perf_counter()
    built = {"metric": question.metric, "seed": question.seed, "progress": progress, **options}
    index = INDEXES[kind].build(question.gallery, **built)
    seconds = time.perf_counter() - start
    megabytes = index.bytes_per_vector * len(index) / 1e6
    trials = []
    for knobs in _knob_settings(index):
        ranking = question.put_to(index, threads, progress, **knobs)
        values = question.score(ranking)
        low, high = bootstrap_interval(values[:, None], generator(question.seed, "bootstrap"), _RESAMPLES)
        ms = _single_query_ms(index, question, knobs)
        trials.append(
            Trial(
                index=kind,
                options=dict(options),
                knobs=knobs,
                value=float(np.nanmean(values)),
                low=float(low[0]),
                high=float(high[0]),
                recall=float(ranking.agreement(question.exact, question.exact.rows.shape[1]).mean()),
                ms=ms,
                bytes_per_photo=index.bytes_per_vector,
                megabytes=megabytes,
                build_seconds=seconds,
                values=values,
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
    """Measure candidates, and choose the smallest of those within the budget that are as good as the best.

    A trial is as good unless the 95 % interval of the difference, query by query, lies below zero.

    Args:
        question: put to all indexes.
        budget: limits of memory and time.
        kinds: indexes to try; all by default.
        threads: of the batch searches; 0 means one per core.
        progress: shows the work.
        note: receives a line on each candidate that cannot be built for this gallery, and why.

    Returns:
        All trials, by value, best first; one is ``chosen`` unless none fits.

    Raises:
        UsageError: nothing could be tried.
    """
    trials: list[Trial] = []
    for kind, options in candidates(question.gallery.shape[1], kinds or tuple(INDEXES)):
        try:
            trials += try_index(kind, options, question, budget, threads=threads, progress=progress)
        except AeretError as error:
            note(f"{kind} {_words(options)} is left out: {error}")
    if not trials:
        raise UsageError("None of the indexes could be built for this gallery; see the notes above, or name others.")
    return _chosen(_with_front(trials), question.seed)


def plan_table(trials: Sequence[Trial]) -> pd.DataFrame:
    """Return one row a trial; options and knobs as text."""
    columns = [each.name for each in fields(Trial) if each.name != "values"]
    frame = pd.DataFrame([{name: getattr(trial, name) for name in columns} for trial in trials], columns=columns)
    for name in ("options", "knobs"):
        frame[name] = [_words(each) for each in frame[name]]
    return frame


def _words(values: Mapping[str, Any]) -> str:
    def short(value: Any) -> str:
        if isinstance(value, str):
            return value
        return "all" if value == float("inf") else f"{value:g}"

    return " ".join(f"{name}={short(value)}" for name, value in values.items())


def _knob_settings(index: Index) -> list[dict[str, Any]]:
    settings = [dict(zip(index.KNOBS, each, strict=True)) for each in itertools.product(*index.KNOBS.values())]
    # A strict order takes no notice of a minimum of probes.
    return [each for each in settings if each.get("order") != "sequential" or each["min_probes"] == 1]


def _single_query_ms(index: Index, question: Question, knobs: Mapping[str, Any]) -> float:
    times: list[float] = []
    for row in range(min(_SINGLE, len(question.queries))):
        if len(times) >= _LEAST_SINGLE and sum(times) > _SINGLE_MS:
            break
        one = slice(row, row + 1)
        start = time.perf_counter()
        index.search(question.queries[one], question.n, exclude=question.exclude[one], threads=1, **knobs)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


def _with_front(trials: Sequence[Trial]) -> list[Trial]:
    costs = np.array([(-each.value, each.ms, each.megabytes) for each in trials])
    beaten = [((costs <= own).all(axis=1) & (costs < own).any(axis=1)).any() for own in costs]
    return [replace(one, pareto=not lost) for one, lost in zip(trials, beaten, strict=True)]


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
