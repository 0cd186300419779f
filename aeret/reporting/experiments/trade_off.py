"""Layout nDCG against label nDCG, a point per arm and seed: what the layout gain costs in labels."""

from __future__ import annotations

import pandas as pd

from aeret.evaluation.experiment import Experiment, measure_of, name_of
from aeret.reporting.experiments.rows import id_of
from aeret.reporting.plots.layout_against_labels import layout_against_labels
from aeret.reporting.sections.headlines import LABELS, LAYOUT
from aeret.reporting.values import Block, Column, Figure, Notice, with_data


def trade_off_blocks(experiment: Experiment) -> list[Block]:
    """Return the figure with its numbers."""
    rows = [
        (
            name_of(group, arm),
            trial.evaluation.facts["seed"],
            *(measure_of(trial.evaluation, m) for m in (LABELS, LAYOUT)),
        )
        for group, arm, trials in experiment.rows()
        for trial in trials
    ]
    points = pd.DataFrame(rows, columns=pd.Index(["arm", "seed", "x", "y"])).dropna()
    if points.empty:
        return [Notice("These runs have no layout measure, so there is no trade-off to show.", "note")]
    svg = layout_against_labels(points, id_of(experiment, "trade-off-plot"), f"labels: {LABELS}", f"layout: {LAYOUT}")
    caption = "One point per arm and seed, the ring is an arm's mean. Up is better layout, right is better labels."
    columns = (
        Column("arm", "arm"),
        Column("seed", "seed", "count"),
        Column("x", LABELS, "measure"),
        Column("y", LAYOUT, "measure"),
    )
    figure = Figure(id_of(experiment, "trade-off"), "Layout against labels", svg, caption)
    return [with_data(figure, columns, points.itertuples(index=False, name=None))]
