"""Measures of clusterings against the number of clusters, one small panel a measure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from aeret.reporting.plots.style import BLUE, ORANGE, canvas, style, svg

_COLUMNS = 2


def cluster_sweep(sweep: pd.DataFrame, titles: Mapping[str, str], chosen: Mapping[str, int], name: str) -> str:
    """Return the SVG of a sweep (a row per k): a panel for each column of ``titles``, the k it chooses ringed."""
    rows = -(-len(titles) // _COLUMNS)
    with style():
        figure, grid = canvas(rows, _COLUMNS, width=6.4, height=0.4 + 1.75 * rows, squeeze=False, sharex=True)
        for axes, (column, title) in zip(grid.flat, titles.items(), strict=False):
            values = sweep[column].to_numpy(dtype=np.float64)
            axes.plot(sweep["k"], values, color=BLUE, marker="o")
            if column in chosen:
                place = np.flatnonzero(sweep["k"] == chosen[column])
                axes.plot(
                    sweep["k"].to_numpy()[place],
                    values[place],
                    "o",
                    markersize=11,
                    markerfacecolor="none",
                    markeredgecolor=ORANGE,
                    markeredgewidth=1.6,
                )
                title += f": k = {chosen[column]}"
            axes.set_title(title)
            axes.set_xscale("log")
            axes.set_xticks(list(sweep["k"]), [str(k) for k in sweep["k"]])
            axes.minorticks_off()
        for axes in list(grid.flat)[len(titles) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("clusters k")
        return svg(figure, name, "Measures of clusterings against the number of clusters.")
