"""Measure against time of one query, a point per index and setting; the size of a point is its memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter, NullFormatter

from aeret.reporting.plots.style import GREY, INK, SERIES, canvas, style, svg


def plan_points(trials: pd.DataFrame, name: str, measure: str, milliseconds: float) -> str:
    """Return the SVG of a plan's trials (columns index, value, ms, bytes_per_photo, pareto, chosen)."""
    with style():
        figure, axes = canvas(height=4.2)
        largest = max(float(trials["bytes_per_photo"].max()), 1.0)
        markers = "os^DvPX<>*hp"
        for place, (kind, part) in enumerate(trials.groupby("index", sort=False)):
            line, marker = SERIES[place % len(SERIES)], markers[place % len(markers)]
            areas = 14 + 110 * np.sqrt(part["bytes_per_photo"] / largest)
            axes.scatter(part["ms"], part["value"], s=areas, marker=marker, color=line.colour, alpha=0.75, label=kind)
        front = trials[trials["pareto"]].sort_values("ms")
        best = front[front["value"] >= front["value"].cummax()]
        axes.plot(best["ms"], best["value"], color=GREY, linewidth=1, zorder=0)
        chosen = trials[trials["chosen"]]
        axes.scatter(chosen["ms"], chosen["value"], s=260, facecolor="none", edgecolor=INK, linewidth=1.4)
        if trials["ms"].min() / 2 <= milliseconds <= trials["ms"].max() * 2:
            axes.axvline(milliseconds, color=INK, linewidth=1, dashes=(4, 2))
        axes.set(xscale="log", xlabel="milliseconds of one query, one thread", ylabel=measure)
        # Plain numbers: the house style writes no formulas, so no powers of ten either.
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return svg(figure, name, f"{measure} against time of one query, by index; the chosen one is ringed.")
