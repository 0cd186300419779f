"""What feature selection found, as an artifact holds it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from aeret.artifacts import write_json, write_text
from aeret.errors import DataError
from aeret.evaluation.feature_selection.curves import COLUMNS
from aeret.evaluation.feature_selection.subject import Subject

CURVES, CHOSEN = "curves.csv", "chosen.json"
ENOUGH = 0.95
"""Share of the whole's value, above the floor, that counts as most of it."""


@dataclass(frozen=True)
class FeatureSelection:
    """Curves and choices of one or two subjects."""

    curves: pd.DataFrame
    """A row per dataset, order and number of variables; see
    :func:`aeret.evaluation.feature_selection.curves.select_features`."""
    chosen: dict[str, dict[str, dict[str, list[int]]]]
    """Dataset to technique to number of variables to the variables chosen."""
    subjects: dict[str, dict[str, Any]]
    """Dataset to what is known of it: title, variables, value, floor, facts."""

    def save(self, folder: Path) -> None:
        """Write ``curves.csv`` and ``chosen.json``."""
        write_json(folder / CHOSEN, {"subjects": self.subjects, "chosen": self.chosen})
        write_text(folder / CURVES, self.curves.to_csv(index=False))

    @classmethod
    def load(cls, folder: Path) -> FeatureSelection:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: there is none, or it is damaged.
        """
        try:
            curves = pd.read_csv(folder / CURVES)
            known = json.loads((folder / CHOSEN).read_text(encoding="utf-8"))
            return cls(curves[list(COLUMNS)], known["chosen"], known["subjects"])
        except FileNotFoundError:
            raise DataError(f"{folder}: holds no feature selection ({CURVES} and {CHOSEN}); run the stage.") from None
        except (KeyError, ValueError) as error:
            raise DataError(f"{folder}: holds a damaged feature selection ({error}); run the stage again.") from None

    def of(self, dataset: str, order: str) -> pd.DataFrame:
        """Return one curve, by rising number of variables; empty where it was not asked for."""
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
        """Return the least number of variables measured whose value is a share of the whole's, above the floor."""
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
