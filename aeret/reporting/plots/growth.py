"""Lines over a count (images, or results): one panel a measure, one line a run, coloured by arm."""

from __future__ import annotations

import pandas as pd

from aeret.reporting.plots.style import SERIES, canvas, style, svg

POINTS = ("group", "arm", "measure", "x", "mean")
"""Columns of the points that are drawn."""


def growth_lines(points: pd.DataFrame, name: str, horizontal: str, logarithmic: bool = True) -> str:
    """Return the SVG of a frame of points with columns :data:`POINTS`.

    Thin lines are the groups (networks), the bold one is the mean over the groups of an arm.
    """
    measures, arms = list(dict.fromkeys(points["measure"])), list(dict.fromkeys(points["arm"]))
    several = points["group"].nunique() > 1
    with style():
        figure, grid = canvas(1, len(measures), width=6.4, height=3.0, squeeze=False)
        for axes, measure in zip(grid.flat, measures, strict=True):
            chosen = points[points["measure"] == measure]
            for place, arm in enumerate(arms):
                look = SERIES[place % len(SERIES)]
                own = chosen[chosen["arm"] == arm]
                if several:
                    for _, part in own.groupby("group", sort=False):
                        axes.plot(part["x"], part["mean"], color=look.colour, linewidth=0.7, alpha=0.5)
                mean = own.groupby("x", sort=True)["mean"].mean()
                axes.plot(
                    mean.index, mean, color=look.colour, linestyle=look.dashes, marker=look.marker, label=arm or "all"
                )
            if logarithmic:
                axes.set_xscale("log")
            ticks = sorted(set(chosen["x"]))
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
            axes.set_title(measure)
            axes.set(xlabel=horizontal)
            axes.margins(y=0.15)
        grid[0, -1].legend(loc="best")
        return svg(figure, name, f"{', '.join(measures)} against {horizontal}, a line an arm.")
