"""The paper's Fig. 3: value against the number of variables, a panel a kind of technique, beside random subsets."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from aeret.reporting.plots.style import GREY, SERIES, canvas, style, svg

PANELS = {
    "without the data": ("sequential", "centre-out"),
    "filters": ("variance", "information-gain", "chi-squared", "correlation"),
    "wrappers": ("greedy", "genetic"),
    "embedded": ("lasso",),
}
"""Panel title to techniques; random subsets are in all of them."""
_LINEAR = 100


def feature_selection(curves: pd.DataFrame, floor: float, variables: str, value: str, name: str) -> str:
    """Return the SVG of the curves of one dataset.

    Args:
        curves: order, dimensions, mean, low and high; a row per technique and number of variables.
        floor: the value without any variable.
        variables: what they are, in the plural.
        value: what is measured.
        name: prefix of the ids.
    """
    held = set(curves["order"])
    shown = [(title, [each for each in some if each in held]) for title, some in PANELS.items()]
    shown = [(title, some) for title, some in shown if some] or [("random", [])]
    columns = min(2, len(shown))
    rows = -(-len(shown) // columns)
    low = min(floor, float(curves["mean"].min()))
    high = max(floor, float(curves["mean"].max()))
    room = 0.04 * (high - low)
    # Of many variables the first few are what tells techniques apart.
    wide = int(curves["dimensions"].max()) > _LINEAR
    with style():
        figure, grid = canvas(
            rows, columns, width=6.8, height=0.5 + 2.5 * rows, squeeze=False, sharex=True, sharey=True
        )
        panels = list(grid.flat)
        for axes, (title, some) in zip(panels, shown, strict=False):
            _panel(axes, curves, some, floor)
            axes.set_title(title)
            if wide:
                axes.set_xscale("log", base=2)
                axes.xaxis.set_major_formatter(lambda count, place: f"{count:g}")
            axes.set_ylim(low - room, high + room)
            axes.legend(loc="lower right", fontsize=8.5, handlelength=2.6, labelspacing=0.3)
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        # The lowest panel of each column that shows something has the axis' name.
        for place, axes in enumerate(panels[: len(shown)]):
            if place + columns >= len(shown):
                axes.set_xlabel(f"{variables}, logarithmic" if wide else variables)
                axes.tick_params(labelbottom=True)
            if place % columns == 0:
                axes.set_ylabel(value)
        return svg(figure, name, f"{value} against the number of {variables}, by technique of selection.")


def _panel(axes: Axes, curves: pd.DataFrame, techniques: Sequence[str], floor: float) -> None:
    axes.axhline(floor, color=GREY, linestyle=":", linewidth=1.2)
    drawn = curves[curves["order"] == "random"].sort_values("dimensions")
    if len(drawn):
        band = drawn.assign(low=drawn["low"].fillna(drawn["mean"]), high=drawn["high"].fillna(drawn["mean"]))
        axes.fill_between(band["dimensions"], band["low"], band["high"], color=GREY, alpha=0.28, linewidth=0)
        axes.plot(drawn["dimensions"], drawn["mean"], color=GREY, linewidth=1.5, label="random, 95 %")
    for line, technique in zip(SERIES, techniques, strict=False):
        part = curves[curves["order"] == technique].sort_values("dimensions")
        axes.plot(
            part["dimensions"],
            part["mean"],
            color=line.colour,
            linestyle=line.dashes,
            marker=line.marker,
            markersize=3.2,
            linewidth=1.5,
            label=technique,
        )
