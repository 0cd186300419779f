"""Regret of click learners over the rounds of a simulation, against the best weights that never change."""

from __future__ import annotations

import pandas as pd

from aeret.reporting.plots.style import GREY, SERIES, canvas, style, svg

_POINTS = 200


def regret_lines(regret: pd.DataFrame, name: str) -> str:
    """Return the SVG of a table of ``round`` and one column of cumulated regret a policy."""
    step = max(1, len(regret) // _POINTS)
    part = regret.iloc[step - 1 :: step]
    with style():
        figure, axes = canvas(1, 1, height=3.4)
        axes.axhline(0, color=GREY, linewidth=1.2)
        policies = [column for column in regret.columns if column not in ("round", "best fixed")]
        for line, policy in zip(SERIES, policies, strict=False):
            axes.plot(part["round"], part[policy], color=line.colour, linestyle=line.dashes, label=policy)
        axes.set(xlabel="queries served", ylabel="cumulated regret to the best fixed weights")
        axes.legend()
        return svg(figure, name, "Cumulated regret of each policy; below zero is better than the best fixed weights.")
