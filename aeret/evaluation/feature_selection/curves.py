"""Every technique at every number of variables: chosen, measured, and kept as it goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from aeret.artifacts import write_json
from aeret.embeddings.blocks import over_blocks
from aeret.errors import UsageError
from aeret.evaluation.feature_selection import TECHNIQUES
from aeret.evaluation.feature_selection.subject import Subject
from aeret.evaluation.feature_selection.technique import Effort, Rows, Select, Technique
from aeret.progress import Progress, Step, silent
from aeret.registry import lookup
from aeret.rng import derive

COLUMNS = ("dataset", "order", "dimensions", "mean", "sd", "low", "high", "repetitions")
_STEPS, _FEW = (1, 1.5), 64


def grid(total: int, asked: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the numbers of variables to measure at, rising, the whole number last.

    Args:
        total: of variables.
        asked: those larger than the total are left out; when empty 1, 2, 3, 4, 6, 8, 12, 16, 24, ..., and of up to
            64 variables every fourth number.

    Raises:
        UsageError: one is less than 1.
    """
    if any(count < 1 for count in asked):
        raise UsageError(f"Numbers of variables must be at least 1, got {list(asked)}.")
    counts = set(asked)
    if not counts:
        power = 1
        while power <= total:
            counts |= {int(power * step) for step in _STEPS}
            power *= 2
        if total <= _FEW:
            counts |= set(range(4, total, 4))
    return tuple(sorted({count for count in counts if count < total} | {total}))


def select_features(
    subject: Subject,
    techniques: Sequence[str],
    dimensions: Sequence[int],
    repetitions: int,
    effort: Effort,
    seed: int,
    parts: Path,
    progress: Progress = silent,
) -> tuple[pd.DataFrame, dict[str, dict[str, list[int]]]]:
    """Choose and measure.

    Args:
        subject: see :class:`~aeret.evaluation.feature_selection.subject.Subject`.
        techniques: names; those for pictures are left out where there is none.
        dimensions: numbers of variables, see :func:`grid`.
        repetitions: subsets a size of a technique that draws at random.
        effort: of the wrappers; its threads never change a result.
        seed: of every draw.
        parts: folder where each finished technique and number is kept; a killed run goes on from there.
        progress: shows subsets measured.

    Returns:
        A row per technique and number with the columns ``COLUMNS``: sd, low and high (central 95 %) are over
        repetitions, NaN where there is one; and technique to number to the variables chosen.

    Raises:
        UnknownNameError: there is no such technique.
    """
    used = [lookup(TECHNIQUES, name, "technique of feature selection") for name in dict.fromkeys(techniques)]
    used = [each for each in used if subject.choice.picture is not None or not each.pictures_only]
    counts = grid(subject.choice.total, dimensions)
    rows: list[tuple[Any, ...]] = []
    chosen: dict[str, dict[str, list[int]]] = {}
    parts.mkdir(parents=True, exist_ok=True)
    with threadpool_limits(1, user_api="blas"):
        for technique in used:
            times = repetitions if technique.repeated else 1
            title = f"feature selection, {subject.name}: {technique.name}"
            with progress(title, times * len(counts), unit="subset") as step:
                found = _Curve(subject, technique, times, effort, seed, parts).run(counts, step)
            for count, part in found.items():
                rows.append((subject.name, technique.name, count, *_summary(part["values"])))
            if not technique.repeated:
                chosen[technique.name] = {str(count): part["chosen"] for count, part in found.items()}
    return pd.DataFrame(rows, columns=list(COLUMNS)), chosen


class _Curve:
    """One technique on one subject."""

    def __init__(
        self, subject: Subject, technique: Technique, times: int, effort: Effort, seed: int, parts: Path
    ) -> None:
        self._subject, self._technique, self._times = subject, technique, times
        self._effort, self._seed, self._parts = effort, seed, parts
        self._selects: dict[int, Select] = {}

    def run(self, counts: Sequence[int], step: Step) -> dict[int, dict[str, Any]]:
        """Return the values and the choice at each number of variables."""
        found: dict[int, dict[str, Any]] = {}
        so_far = np.empty(0, np.int64)
        for count in counts:
            path = self._parts / f"{self._subject.name}-{self._technique.name}-{count}.json"
            if path.is_file():
                found[count] = json.loads(path.read_text(encoding="utf-8"))
                step(self._times)
            else:
                found[count] = self._measure(count, so_far, step)
                write_json(path, found[count])
            so_far = np.array(found[count]["chosen"], np.int64)
        return found

    def _measure(self, count: int, so_far: Rows, step: Step) -> dict[str, Any]:
        if not self._technique.repeated:
            chosen = self._select(0)(count, so_far)
            value = self._subject.measure(np.sort(chosen))
            step(1)
            return {"chosen": chosen.tolist(), "values": [value]}
        # All subsets of the whole are one.
        times = 1 if count == self._subject.choice.total else self._times
        subsets = [np.sort(self._select(each)(count, so_far)) for each in range(times)]

        def work(start: int, stop: int) -> list[float]:
            return [self._subject.measure(subset) for subset in subsets[start:stop]]

        parts = over_blocks(times, 4, work, self._effort.threads, step)
        values = [value for part in parts for value in part]
        step(self._times - times)
        return {"chosen": [], "values": values}

    def _select(self, repetition: int) -> Select:
        if repetition not in self._selects:
            own = derive(self._seed, "feature-selection", self._subject.name, self._technique.name, repetition)
            self._selects[repetition] = self._technique.build(self._subject.choice, self._effort, own)
        return self._selects[repetition]


def _summary(values: Sequence[float]) -> tuple[float, float, float, float, int]:
    if len(values) < 2:
        return values[0], np.nan, np.nan, np.nan, 1
    low, high = np.quantile(values, [0.025, 0.975])
    return float(np.mean(values)), float(np.std(values, ddof=1)), float(low), float(high), len(values)
