"""Hold the curves and choices of feature selection as an artifact."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from aeret.artifacts import write_json, write_text
from aeret.errors import DataError
from aeret.evaluation.feature_selection.curves import COLUMNS, select_features
from aeret.evaluation.feature_selection.technique import Effort, Subject
from aeret.progress import Progress, silent
from aeret.settings import FeatureSelectionSettings

_CURVES, _CHOSEN, _PARTS = "curves.csv", "chosen.json", "parts"
ENOUGH = 0.95
"""Share of the whole's value, above the floor, that counts as most of it."""


@dataclass(frozen=True)
class FeatureSelection:
    """Curves and choices of one or two subjects."""

    curves: pd.DataFrame
    """A row per dataset, order and number of variables; columns ``COLUMNS`` of ``curves``."""
    chosen: dict[str, dict[str, dict[str, list[int]]]]
    """Dataset to technique to number of variables to the chosen variables."""
    subjects: dict[str, dict[str, Any]]
    """Dataset to what is known of it: title, variables, value, total, floor, facts."""

    @classmethod
    def make(
        cls,
        subjects: Iterable[Subject],
        settings: FeatureSelectionSettings,
        seed: int,
        folder: Path,
        progress: Progress = silent,
    ) -> FeatureSelection:
        """Select features for every subject; parts in ``folder`` let a killed run go on.

        Raises:
            UnknownNameError: a technique does not exist.
        """
        curves, chosen, known = [], {}, {}
        for subject in subjects:
            total = subject.choice.total
            effort = Effort(
                settings.repetitions if subject.name == "digits" else settings.embedding_repetitions,
                settings.greedy_block or (1 if total <= 64 else total // 32),
                settings.population,
                settings.generations,
                settings.threads,
            )
            asked = (settings.methods, settings.dimensions, effort, seed, folder / _PARTS, progress)
            frame, chosen[subject.name] = select_features(subject, *asked)
            curves.append(frame)
            known[subject.name] = described(subject)
        return cls(pd.concat(curves, ignore_index=True), chosen, known)

    def save(self, folder: Path) -> None:
        """Write ``curves.csv`` and ``chosen.json``."""
        write_json(folder / _CHOSEN, {"subjects": self.subjects, "chosen": self.chosen})
        write_text(folder / _CURVES, self.curves.to_csv(index=False))

    @classmethod
    def open(cls, folder: Path) -> FeatureSelection:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: it is missing or damaged.
        """
        try:
            curves = pd.read_csv(folder / _CURVES)
            known = json.loads((folder / _CHOSEN).read_text(encoding="utf-8"))
            return cls(curves[list(COLUMNS)], known["chosen"], known["subjects"])
        except FileNotFoundError:
            raise DataError(f"{folder}: holds no feature selection ({_CURVES} and {_CHOSEN}); run the stage.") from None
        except (KeyError, ValueError) as error:
            raise DataError(f"{folder}: holds a damaged feature selection ({error}); run the stage again.") from None

    def of(self, dataset: str, order: str) -> pd.DataFrame:
        """Return one curve, by rising number of variables; empty if it was not measured."""
        part = self.curves[(self.curves["dataset"] == dataset) & (self.curves["order"] == order)]
        return part.sort_values("dimensions")

    def orders(self, dataset: str) -> list[str]:
        """Return the techniques measured on a dataset."""
        return list(dict.fromkeys(self.curves[self.curves["dataset"] == dataset]["order"]))

    def whole(self, dataset: str) -> float:
        """Return the value of all variables."""
        part = self.curves[self.curves["dataset"] == dataset]
        return float(part.loc[part["dimensions"] == part["dimensions"].max(), "mean"].iloc[0])

    def enough(self, dataset: str, order: str, share: float = ENOUGH) -> int:
        """Return the least measured number of variables that reaches a share of the whole's value above the floor."""
        floor = float(self.subjects[dataset]["floor"])
        curve = self.of(dataset, order)
        # Sums in another order may leave the whole a rounding below itself.
        reached = curve["mean"] >= floor + share * (self.whole(dataset) - floor) - 1e-9
        return int(curve.loc[reached, "dimensions"].min())


def described(subject: Subject) -> dict[str, Any]:
    """Return what is kept of a subject."""
    return {
        "title": subject.title,
        "variables": subject.variables,
        "value": subject.value,
        "total": subject.choice.total,
        "floor": subject.floor,
        "facts": dict(subject.facts),
    }
