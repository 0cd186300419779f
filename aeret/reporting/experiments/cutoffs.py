"""Table 2: precision and recall of the first N over random samples of the queries."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aeret.evaluation.experiment import Experiment, name_of
from aeret.evaluation.result import Evaluation
from aeret.reporting.experiments.rows import NAMES, first_cells, id_of
from aeret.reporting.plots.growth import growth_lines
from aeret.reporting.values import Block, Cell, Column, Estimate, Figure, Table


def cutoff_blocks(experiment: Experiment) -> list[Block]:
    """Return the table and its picture."""
    first = experiment.trials[0].evaluation
    numbers = [int(n) for n in first.facts["cutoffs"]]
    wanted = [(measure, n) for measure in "PR" for n in numbers]
    columns = (*NAMES, *(Column(f"{m.lower()}{n}", f"{m}@{n}", "measure") for m, n in wanted))
    rows: list[tuple[Cell, ...]] = []
    points = []
    for group, arm, trials in experiment.rows():
        cells: list[Cell] = []
        for measure, n in wanted:
            found = [_cutoff(trial.evaluation, measure, n) for trial in trials]
            mean, sd = (float(np.mean([each[part] for each in found])) for part in (0, 1))
            cells.append(Estimate(mean, sd=sd))
            points.append((group, arm, {"P": "precision at N", "R": "recall at N"}[measure], n, mean))
        rows.append((*first_cells(group, arm, trials), *cells))
    kinds = [""] * len(rows)
    for title, column in (("random floor", "floor_random"), ("query-free floor", "floor_query_free")):
        rows.append((title, None, *(_floor(first, column, m, n) for m, n in wanted)))
        kinds.append("floor")
    resamples = first.facts["resamples"]
    caption = (
        f"Relevant is what shares a category. Mean, and sd over {resamples} random samples of "
        f"{100 * first.facts['resample_fraction']:.0f} % of the queries; both averaged over seeds. {first.lead} search."
    )
    table = Table(
        id_of(experiment, "cutoffs"), "Precision and recall of the first N", columns, tuple(rows), tuple(kinds), caption
    )
    frame = pd.DataFrame(points, columns=pd.Index(["group", "arm", "measure", "x", "mean"]))
    svg = growth_lines(frame, id_of(experiment, "cutoffs-plot"), "N", logarithmic=False)
    names = ", ".join(dict.fromkeys(name_of(group, "") for group, _, _ in experiment.rows()))
    note = f"Thin lines: {names}. Bold: their mean, an arm each." if len(experiment.groups()) > 1 else ""
    return [table, Figure(id_of(experiment, "cutoffs-figure"), "Precision and recall against N", svg, note)]


def _cutoff(evaluation: Evaluation, measure: str, n: int) -> tuple[float, float]:
    row = _row(evaluation, measure, n)
    return float(row["mean"]), float(row["sd"])


def _floor(evaluation: Evaluation, column: str, measure: str, n: int) -> float:
    return float(_row(evaluation, measure, n)[column])


def _row(evaluation: Evaluation, measure: str, n: int) -> pd.Series:
    frame = evaluation.cutoffs
    chosen = frame[(frame["method"] == evaluation.lead) & (frame["measure"] == measure) & (frame["n"] == n)]
    return chosen.iloc[0]
