"""Plot layout nDCG against label nDCG, a point per arm and seed."""

from __future__ import annotations

import math

from aeret.evaluation.experiment import Experiment, measure_of, name_of
from aeret.reporting.experiments.rows import id_of
from aeret.reporting.sections.arms import trade_off_figure
from aeret.reporting.sections.headlines import LABELS, LAYOUT
from aeret.reporting.values import Block, Notice


def trade_off_blocks(experiment: Experiment) -> list[Block]:
    """Return the figure with its numbers."""
    rows = []
    for group, arm, trials in experiment.rows():
        for trial in trials:
            labels, layout = (measure_of(trial.evaluation, measure) for measure in (LABELS, LAYOUT))
            if math.isfinite(labels) and math.isfinite(layout):
                rows.append((name_of(group, arm), trial.evaluation.facts["seed"], labels, layout))
    if not rows:
        return [Notice("These runs have no layout measure, so there is no trade-off to show.", "note")]
    return [trade_off_figure(rows, id_of(experiment, "trade-off"), id_of(experiment, "trade-off-plot"))]
