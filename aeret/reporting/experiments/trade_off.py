"""Show layout nDCG against label nDCG, a point per arm and seed."""

from __future__ import annotations

import math

from aeret.evaluation.experiment import Experiment, measure_of, name_of
from aeret.reporting.experiments.rows import id_of
from aeret.reporting.report import Block, Notice
from aeret.reporting.sections.headlines import LABELS, LAYOUT
from aeret.reporting.sections.trade_off import trade_off_figure


def trade_off_blocks(experiment: Experiment) -> list[Block]:
    """Return the figure with its numbers."""
    points = []
    for group, arm, trials in experiment.rows():
        for trial in trials:
            labels, layout = (measure_of(trial.evaluation, measure) for measure in (LABELS, LAYOUT))
            if math.isfinite(labels + layout):
                points.append((name_of(group, arm), trial.evaluation.facts["seed"], labels, layout))
    if not points:
        return [Notice("These runs have no layout measure, so there is no trade-off to show.", "note")]
    return [trade_off_figure(id_of(experiment, "trade-off"), id_of(experiment, "trade-off-plot"), points)]
