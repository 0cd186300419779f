"""P, R and F at each cut-off: a panel per measure, a line per search, the resampling interval as a band."""

from __future__ import annotations

import pandas as pd

from aeret.reporting.plots.style import GREY, SERIES, canvas, style, svg

_TITLES = {"P": "precision at N", "R": "recall at N", "F": "F at N"}


def cutoff_lines(cutoffs: pd.DataFrame, name: str) -> str:
    """Return the SVG of ``Evaluation.cutoffs`` (method, n, measure, mean, low, high and the two floors)."""
    measures = [measure for measure in _TITLES if (cutoffs["measure"] == measure).any()]
    methods = list(dict.fromkeys(cutoffs["method"]))
    with style():
        figure, grid = canvas(2, 2, height=4.3)
        for axes, measure in zip(grid.flat, measures, strict=False):
            chosen = cutoffs[cutoffs["measure"] == measure]
            for line, method in zip(SERIES, methods, strict=False):
                part = chosen[chosen["method"] == method].sort_values("n")
                axes.fill_between(part["n"], part["low"], part["high"], color=line.colour, alpha=0.15, linewidth=0)
                axes.plot(
                    part["n"], part["mean"], color=line.colour, linestyle=line.dashes, marker=line.marker, label=method
                )
            floor = chosen[chosen["method"] == methods[0]].sort_values("n")
            axes.plot(
                floor["n"],
                floor["floor_query_free"],
                color=GREY,
                linestyle="-",
                linewidth=1.2,
                label="query-free floor",
            )
            axes.plot(floor["n"], floor["floor_random"], color=GREY, linestyle=":", linewidth=1.2, label="random floor")
            axes.set_title(_TITLES[measure])
            axes.set(xlabel="N", xticks=sorted(set(chosen["n"])), ylim=(0, None))
        for axes in list(grid.flat)[len(measures) :]:
            axes.axis("off")
        grid[1, 1].legend(*grid[0, 0].get_legend_handles_labels(), loc="center left")
        return svg(figure, name, "Precision, recall and F at each cut-off with floors.")
