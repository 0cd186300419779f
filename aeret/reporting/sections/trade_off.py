"""Build the figure of layout nDCG against label nDCG: what the layout gain costs in labels."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from aeret.reporting.plots.layout_against_labels import layout_against_labels
from aeret.reporting.report import Column, Figure
from aeret.reporting.sections.headlines import LABELS, LAYOUT

_COLUMNS = (
    Column("arm", "arm"),
    Column("seed", "seed", "count"),
    Column("x", LABELS, "measure"),
    Column("y", LAYOUT, "measure"),
)


def trade_off_figure(name: str, plot: str, points: Sequence[tuple[str, int, float, float]]) -> Figure:
    """Return the figure with its numbers.

    Args:
        name: id of the figure.
        plot: prefix of the ids in the plot.
        points: arm, seed, label nDCG and layout nDCG of each run.
    """
    frame = pd.DataFrame(points, columns=pd.Index([column.name for column in _COLUMNS]))
    svg = layout_against_labels(frame, plot, f"labels: {LABELS}", f"layout: {LAYOUT}")
    caption = "One point per arm and seed, the ring is an arm's mean. Up is better layout, right is better labels."
    return Figure(name, "Layout against labels", svg, caption).with_numbers(_COLUMNS, frame)
