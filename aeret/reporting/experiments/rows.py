"""Make the cells that the tables of experiments share: names, and means over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from aeret.evaluation.experiment import Experiment, Trial, measure_of, name_of, over_seeds
from aeret.evaluation.result import Evaluation
from aeret.reporting.report import Cell, Column, Estimate, slug

LEVEL = 0.05
NAMES = (Column("runs", "runs"), Column("seeds", "seeds", "count"))
FLOORS = {"random floor": "floor_random", "query-free floor": "floor_query_free"}
"""Title of a row of floors to the column of an evaluation's tables."""


def first_cells(group: str, arm: str, trials: Sequence[Trial]) -> tuple[Cell, ...]:
    """Return the cells under :data:`NAMES`."""
    return (name_of(group, arm), len(trials))


def mean_cell(trials: Sequence[Trial], value: Callable[[Evaluation], float]) -> Cell:
    """Return the mean of a number over seeds with its sd; None if a run lacks it."""
    mean, sd = over_seeds(trials, value)
    return Estimate(mean, sd=None if math.isnan(sd) else sd) if math.isfinite(mean) else None


def measure_cells(trials: Sequence[Trial], measures: Iterable[str]) -> list[Cell]:
    """Return the means over seeds of several measures."""
    return [mean_cell(trials, partial(measure_of, name=name)) for name in measures]


def id_of(experiment: Experiment, what: str) -> str:
    """Return the id of a block, unique in the report."""
    return slug(f"{experiment.name}-{what}")
