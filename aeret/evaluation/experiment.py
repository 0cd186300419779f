"""Several runs of one question: arms, each with a seed or more, in groups that are compared within themselves."""

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
_COMPARED = ("measure", "queries", "baseline", "sd_baseline", "difference", "low", "high", "p", "note")
EFFECTS = ("group", "arm", "seeds", "value", "sd", *_COMPARED, "p_holm")


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
    """The axis whose values are the arms; empty: the trials are all of one arm."""
    baseline: str
    """The arm the others are tested against; the first when empty."""
    trials: tuple[Trial, ...]

    @property
    def reference(self) -> str:
        """Name of the baseline arm; empty where there is nothing to compare."""
        if not self.compare:
            return ""
        return self.baseline or str(self.trials[0].values[self.compare])

    def groups(self) -> dict[str, dict[str, list[Trial]]]:
        """Return group to arm to its trials, one a seed; a group is what else the matrix varies (the network)."""
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
        measures: names of per-query columns; those that an arm does not have are left out of its rows.
        subset: compare on the queries of this subset alone.
        seed: of the bootstrap and the randomisation test.

    Returns:
        A row per group, arm other than the baseline, and measure; columns :data:`EFFECTS`.
    """
    rows = []
    for group, arms in experiment.groups().items():
        if experiment.reference not in arms:
            continue
        base = [trial.evaluation for trial in arms[experiment.reference]]
        for arm, trials in arms.items():
            if arm == experiment.reference:
                continue
            own = [trial.evaluation for trial in trials]
            have = [name for name in measures if all(name in each.per_query for each in (*base, *own))]
            frame = compare(base, own, have, subset=subset, seed=seed)
            for record in frame.to_dict(orient="records"):
                own_part = (group, arm, len(own), record["candidate"], record["sd_candidate"])
                rows.append((*own_part, *(record[key] for key in _COMPARED)))
    table = pd.DataFrame(rows, columns=pd.Index(EFFECTS[:-1]))
    adjusted = np.full(len(table), np.nan)
    tested = table["p"].notna().to_numpy(bool)
    if tested.any():
        adjusted[tested] = holm(table["p"].to_numpy(np.float64)[tested])
    table["p_holm"] = adjusted
    return table


def over_seeds(trials: Sequence[Trial], value: Callable[[Evaluation], float]) -> tuple[float, float]:
    """Return mean and sd (NaN with one seed) of a number over the trials of an arm."""
    found = [value(trial.evaluation) for trial in trials]
    return float(np.mean(found)), float(np.std(found, ddof=1)) if len(found) > 1 else float("nan")


def measure_of(evaluation: Evaluation, name: str) -> float:
    """Return the mean of a per-query measure, or the value of one of the tables'; NaN where there is none."""
    if name in evaluation.per_query:
        return float(evaluation.per_query[name].mean())
    row = evaluation.row(name)
    return float("nan") if row is None else float(row["value"])
