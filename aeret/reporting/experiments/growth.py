"""Build precision and recall as the number of query or gallery images grows (the paper's Table 3)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from aeret.evaluation.experiment import Experiment, Trial
from aeret.evaluation.growth import N, gallery_growth, query_growth, sizes
from aeret.reporting.experiments.rows import NAMES, first_cells, id_of
from aeret.reporting.plots.growth import POINTS, growth_lines
from aeret.reporting.report import Block, Cell, Column, Estimate, Figure, Table

_LINES = "Thin lines are the single groups, the bold one is their mean, an arm each."
_TITLES = {"P": f"precision at {N}", "R": f"recall at {N}"}
_SEED = 0
"""The same samples for every run of a report."""


def growth_blocks(experiment: Experiment) -> list[Block]:
    """Return a table and a picture for query images, and for gallery images."""
    first = experiment.trials[0].evaluation
    queries, gallery = sizes(len(first.per_query)), sizes(len(first.gallery_ids))
    return [
        *_axis(
            experiment,
            "query",
            queries,
            lambda trial: query_growth(trial.evaluation, queries, _SEED),
            f"Of {N} results of {first.lead} search, mean ± sd over 30 samples of the queries, averaged over seeds. "
            "More query images make the average surer, not better or worse; samples are parts of one finite set, so "
            "their sd also falls because they overlap.",
        ),
        *_axis(
            experiment,
            "gallery",
            gallery,
            lambda trial: gallery_growth(*trial.opened().photo_sets(), gallery, _SEED),
            f"Of {N} results of exhaustive search in random parts of the gallery, mean ± sd over five orders, "
            "averaged over seeds. Ten results are an ever smaller part of what is relevant, so recall falls by itself.",
        ),
    ]


def _axis(
    experiment: Experiment, axis: str, numbers: list[int], measure: Callable[[Trial], pd.DataFrame], caption: str
) -> list[Block]:
    wanted = [(name, number) for name in _TITLES for number in numbers]
    columns = (*NAMES, *(Column(f"{name.lower()}{n}", f"{name}@{N}, {n}", "measure") for name, n in wanted))
    rows: list[tuple[Cell, ...]] = []
    points = []
    for group, arm, trials in experiment.rows():
        frame = pd.concat([measure(trial) for trial in trials])
        found = frame.groupby(["measure", "images"])[["mean", "sd"]].mean().loc[wanted]
        cells: list[Cell] = []
        for (name, number), mean, sd in zip(wanted, found["mean"], found["sd"], strict=True):
            cells.append(Estimate(mean, sd=sd if np.isfinite(sd) else None))
            points.append((group, arm, _TITLES[name], number, mean))
        rows.append((*first_cells(group, arm, trials), *cells))
    table = Table.of_rows(
        id_of(experiment, f"{axis}-growth"), f"As the number of {axis} images grows", columns, rows, caption=caption
    )
    svg = growth_lines(
        pd.DataFrame(points, columns=pd.Index(POINTS)), id_of(experiment, f"{axis}-growth-plot"), f"{axis} images"
    )
    title = f"Precision and recall against {axis} images"
    return [table, Figure(id_of(experiment, f"{axis}-growth-figure"), title, svg, _LINES)]
