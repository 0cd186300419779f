"""Choose and measure with every technique at every number of variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from aeret.errors import UsageError
from aeret.evaluation.feature_selection import TECHNIQUES
from aeret.evaluation.feature_selection.technique import Chosen, Effort, Select, Subject, Technique
from aeret.parts import Parts, on_threads
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.rng import derive

COLUMNS = ("dataset", "order", "dimensions", "mean", "sd", "low", "high", "repetitions")
_FEW = 64


def grid(total: int, asked: Sequence[int] = ()) -> tuple[int, ...]:
    """Return the numbers of variables to measure at, rising, the whole number last.

    Args:
        total: number of variables.
        asked: larger ones than the total are left out; empty means 1, 2, 3, 4, 6, 8, 12, 16, 24, ..., and every fourth
            number if there are at most 64 variables.

    Raises:
        UsageError: a number is less than 1.
    """
    if any(count < 1 for count in asked):
        raise UsageError(f"Numbers of variables must be at least 1, got {list(asked)}.")
    counts = set(asked)
    if not counts:
        counts = {int(2**power * step) for power in range(total.bit_length()) for step in (1, 1.5)}
        counts |= set(range(4, total, 4)) if total <= _FEW else set()
    return (*sorted(count for count in counts if count < total), total)


def select_features(
    subject: Subject,
    techniques: Sequence[str],
    dimensions: Sequence[int],
    effort: Effort,
    seed: int,
    folder: Path,
    progress: Progress = silent,
) -> tuple[pd.DataFrame, dict[str, dict[str, list[int]]]]:
    """Choose and measure.

    Args:
        subject: the question.
        techniques: names; those for pictures are left out of other subjects.
        dimensions: numbers of variables, see :func:`grid`.
        effort: how much is searched and drawn.
        seed: of every draw.
        folder: keeps each finished technique and number, from which a killed run goes on.
        progress: shows measured subsets.

    Returns:
        A row per technique and number with the columns ``COLUMNS``: sd, low and high (central 95 %) are over
        repetitions, NaN if there is one; and technique to number to the chosen variables.

    Raises:
        UnknownNameError: a technique does not exist.
    """
    used = [lookup(TECHNIQUES, name, "technique of feature selection") for name in dict.fromkeys(techniques)]
    used = [each for each in used if subject.choice.picture is not None or not each.pictures_only]
    counts = grid(subject.choice.total, dimensions)
    job = [subject.name, counts, seed, asdict(effort) | {"threads": 0}]
    parts = Parts(folder / subject.name, job)
    rows: list[tuple[Any, ...]] = []
    chosen: dict[str, dict[str, list[int]]] = {}
    # Subsets are fitted on several threads: a pool of BLAS beside them would slow all of them down.
    with threadpool_limits(1):
        for technique in used:
            times, so_far = effort.repetitions if technique.repeated else 1, np.empty(0, np.int64)
            with progress(f"feature selection, {subject.name}: {technique.name}", len(counts), unit="number") as step:
                selects = [_built(subject, technique, effort, seed, number) for number in range(times)]
                for count in counts:
                    key = f"{technique.name}-{count}"
                    part = parts.load(key)
                    if part is None:
                        part = _measured(subject, selects, count, so_far, effort.threads)
                        parts.save(key, part)
                    so_far = part["chosen"]
                    rows.append((subject.name, technique.name, count, *_summary(part["values"])))
                    if not technique.repeated:
                        chosen.setdefault(technique.name, {})[str(count)] = so_far.tolist()
                    step(1)
    return pd.DataFrame(rows, columns=list(COLUMNS)), chosen


def _built(subject: Subject, technique: Technique, effort: Effort, seed: int, repetition: int) -> Select:
    own = derive(seed, "feature-selection", subject.name, technique.name, repetition)
    return technique.build(subject.choice, effort, own)


def _measured(
    subject: Subject, selects: Sequence[Select], count: int, so_far: Chosen, threads: int
) -> dict[str, np.ndarray[Any, Any]]:
    # Whatever draws them, all variables are one subset.
    used = selects[:1] if count == subject.choice.total else selects
    subsets = [select(count, so_far) for select in used]
    values = list(on_threads(subject.measure, [np.sort(each) for each in subsets], threads))
    return {"chosen": subsets[0], "values": np.array(values)}


def _summary(values: np.ndarray[Any, Any]) -> tuple[float, float, float, float, int]:
    if len(values) < 2:
        return float(values[0]), np.nan, np.nan, np.nan, 1
    low, high = np.quantile(values, [0.025, 0.975])
    return float(np.mean(values)), float(np.std(values, ddof=1)), float(low), float(high), len(values)
