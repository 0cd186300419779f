"""Compare the arms of an experiment, each with one or several seeds, within their groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from aeret.evaluation.compare import compare
from aeret.evaluation.evaluate import PhotoSet
from aeret.evaluation.result import Evaluation
from aeret.evaluation.significance import holm

SEED = "seed"
EFFECTS = (
    *("group", "arm", "seeds", "value", "sd", "measure", "queries"),
    *("baseline", "sd_baseline", "difference", "low", "high", "p", "note", "p_holm"),
)
"""Columns of :func:`effects`."""


class Opened(Protocol):
    """The photos of a run with their embeddings (:class:`aeret.stages.embedded.Embedded`)."""

    gallery: Any
    """The prepared split: photos, labels, masks."""
    categories: tuple[str, ...]

    def photo_sets(self) -> tuple[PhotoSet, PhotoSet]:
        """Return queries and gallery; the same object twice where they are the same photos."""
        ...


@dataclass(frozen=True)
class Trial:
    """One finished run of an experiment."""

    run: str
    """Its id."""
    values: Mapping[str, Any]
    """Its place in the matrix: setting to value."""
    evaluation: Evaluation
    opened: Callable[[], Opened]
    """Opens its photos and embeddings."""
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    """Stage to the folder of what it made."""


@dataclass(frozen=True)
class Experiment:
    """Trials with what is compared."""

    name: str
    title: str
    about: str
    shows: tuple[str, ...]
    compare: str
    """The axis whose values are the arms; empty if all trials are of one arm."""
    baseline: str
    """The arm the others are tested against; the first when empty."""
    trials: tuple[Trial, ...]

    @property
    def reference(self) -> str:
        """Name of the baseline arm; empty if nothing is compared."""
        if not self.compare:
            return ""
        return self.baseline or str(self.trials[0].values[self.compare])

    def groups(self) -> dict[str, dict[str, list[Trial]]]:
        """Return group to arm to its trials, one per seed; a group is what else the matrix varies."""
        found: dict[str, dict[str, list[Trial]]] = {}
        for trial in self.trials:
            others = [str(value) for key, value in trial.values.items() if key not in (SEED, self.compare)]
            arm = str(trial.values[self.compare]) if self.compare else ""
            found.setdefault(" · ".join(others), {}).setdefault(arm, []).append(trial)
        return found

    def rows(self) -> Iterator[tuple[str, str, list[Trial]]]:
        """Yield group, arm and its trials, in the order they ran, the baseline first."""
        for group, arms in self.groups().items():
            for arm in sorted(arms, key=lambda name: name != self.reference):
                yield group, arm, arms[arm]


def name_of(group: str, arm: str) -> str:
    """Return how a row is called."""
    return " · ".join(part for part in (group, arm) if part) or "all runs"


def effects(experiment: Experiment, measures: Sequence[str], subset: str = "", seed: int = 0) -> pd.DataFrame:
    """Compare every arm with the baseline of its group, query by query (see :func:`aeret.evaluation.compare.compare`).

    The family of Holm's correction is the table returned: every group, arm and measure.

    Args:
        experiment: with an axis to compare.
        measures: names of per-query columns; an arm's rows leave out those that it lacks.
        subset: compare on the queries of this subset alone.
        seed: of the bootstrap and the randomisation test.

    Returns:
        A row per group, arm other than the baseline, and measure; columns :data:`EFFECTS`.
    """
    found = []
    for group, arms in experiment.groups().items():
        base = [trial.evaluation for trial in arms.pop(experiment.reference, [])]
        for arm, trials in arms.items() if base else ():
            own = [trial.evaluation for trial in trials]
            have = [name for name in measures if all(name in each.per_query for each in (*base, *own))]
            frame = compare(base, own, have, subset=subset, seed=seed)
            frame = frame.rename(columns={"candidate": "value", "sd_candidate": "sd"})
            found.append(frame.assign(group=group, arm=arm, seeds=len(own)))
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=pd.Index(EFFECTS))
    tested = table["p"].notna().to_numpy(bool)
    table.loc[tested, "p_holm"] = holm(table.loc[tested, "p"].to_numpy(np.float64))
    return table[list(EFFECTS)]


def over_seeds(trials: Sequence[Trial], value: Callable[[Evaluation], float]) -> tuple[float, float]:
    """Return mean and sd (NaN with one seed) of a number over the trials of an arm."""
    found = [value(trial.evaluation) for trial in trials]
    return float(np.mean(found)), float(np.std(found, ddof=1)) if len(found) > 1 else float("nan")


def measure_of(evaluation: Evaluation, name: str) -> float:
    """Return the mean of a per-query measure, or the value of one of the tables'; NaN if it does not exist."""
    if name in evaluation.per_query:
        return float(evaluation.per_query[name].mean())
    row = evaluation.row(name)
    return float("nan") if row is None else float(row["value"])
