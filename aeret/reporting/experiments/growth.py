"""Table 3: average precision and recall as the number of images grows, in both readings of "images"."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from aeret.evaluation.experiment import Experiment, Trial
from aeret.evaluation.growth import N, gallery_growth, query_growth, sizes
from aeret.reporting.experiments.rows import NAMES, first_cells, id_of
from aeret.reporting.plots.growth import growth_lines
from aeret.reporting.values import Block, Cell, Column, Estimate, Figure, Table

_LINES = "Thin lines are the single groups, the bold one is their mean, an arm each."
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
    columns = (*NAMES, *(Column(f"{m.lower()}{n}", f"{m}@{N}, {n}", "measure") for m in "PR" for n in numbers))
    rows: list[tuple[Cell, ...]] = []
    points = []
    for group, arm, trials in experiment.rows():
        frame = pd.concat([measure(trial) for trial in trials])
        cells: list[Cell] = []
        for name in "PR":
            for number in numbers:
                chosen = frame[(frame["images"] == number) & (frame["measure"] == name)]
                mean, sd = float(chosen["mean"].mean()), float(chosen["sd"].mean())
                cells.append(Estimate(mean, sd=sd if np.isfinite(sd) else None))
                points.append((group, arm, {"P": f"precision at {N}", "R": f"recall at {N}"}[name], number, mean))
        rows.append((*first_cells(group, arm, trials), *cells))
    table = Table(
        id_of(experiment, f"{axis}-growth"), f"As the number of {axis} images grows", columns, tuple(rows), (), caption
    )
    frame = pd.DataFrame(points, columns=pd.Index(["group", "arm", "measure", "x", "mean"]))
    svg = growth_lines(frame, id_of(experiment, f"{axis}-growth-plot"), f"{axis} images")
    title = f"Precision and recall against {axis} images"
    return [table, Figure(id_of(experiment, f"{axis}-growth-figure"), title, svg, _LINES)]
