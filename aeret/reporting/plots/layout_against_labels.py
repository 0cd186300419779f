"""Layout nDCG against label nDCG, one point per arm and seed: what the layout gain costs in labels."""

from __future__ import annotations

import pandas as pd

from aeret.reporting.plots.style import SERIES, canvas, style, svg


def layout_against_labels(points: pd.DataFrame, name: str, horizontal: str, vertical: str) -> str:
    """Return the SVG of points (columns arm, seed, x, y); the mean of each arm is ringed and named."""
    with style():
        figure, axes = canvas(height=3.8)
        for index, arm in enumerate(dict.fromkeys(points["arm"])):
            line, part = SERIES[index % len(SERIES)], points[points["arm"] == arm]
            axes.plot(
                part["x"],
                part["y"],
                line.marker,
                color=line.colour,
                markersize=6,
                alpha=0.8,
                label=arm,
                linestyle="none",
            )
            x, y = part["x"].mean(), part["y"].mean()
            axes.plot(
                x, y, line.marker, markersize=12, markerfacecolor="none", markeredgecolor=line.colour, linestyle="none"
            )
            axes.annotate(str(arm), (x, y), xytext=(9, 6), textcoords="offset points", color=line.colour)
        axes.set(xlabel=horizontal, ylabel=vertical)
        axes.margins(0.18)
        return svg(figure, name, "Layout measure against label measure, one point per arm and seed.")
