"""The columns that the tables of experiments share: which runs a row is of, and its numbers over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from aeret.evaluation.experiment import Experiment, Trial, name_of, over_seeds
from aeret.evaluation.result import Evaluation
from aeret.reporting.values import Cell, Column, Estimate, slug

LEVEL = 0.05
NAMES = (Column("runs", "runs"), Column("seeds", "seeds", "count"))


def first_cells(group: str, arm: str, trials: Sequence[Trial]) -> tuple[Cell, ...]:
    """Return the cells under :data:`NAMES`."""
    return (name_of(group, arm), len(trials))


def mean_cell(trials: Sequence[Trial], value: Callable[[Evaluation], float]) -> Cell:
    """Return the mean of a number over seeds with its sd; a dash where a run does not have it."""
    mean, sd = over_seeds(trials, value)
    return Estimate(mean, sd=None if math.isnan(sd) else sd) if math.isfinite(mean) else None


def id_of(experiment: Experiment, what: str) -> str:
    """Return the id of a block, unique in the report."""
    return slug(f"{experiment.name}-{what}")
