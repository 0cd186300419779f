"""Loss of each shortcut against exact search, and how many clusters queries visit."""

from __future__ import annotations

import numpy as np
import pandas as pd

from aeret.reporting.plots.style import BLUE, INK, SERIES, canvas, style, svg


def waterfall_bars(frame: pd.DataFrame, name: str) -> str:
    """Return the SVG of ``Evaluation.waterfall``: a group of points a step, one a measure, with intervals."""
    steps = list(dict.fromkeys(frame["step"]))[1:]
    measures = list(dict.fromkeys(frame["measure"]))
    with style():
        figure, axes = canvas(width=6.4, height=3.4)
        for place, (line, measure) in enumerate(zip(SERIES, measures, strict=False)):
            part = frame[frame["measure"] == measure].set_index("step").loc[steps]
            shift = 0.7 * (place - (len(measures) - 1) / 2) / len(measures)
            middle = part["from_exact"].to_numpy()
            below, above = middle - part["from_exact_low"], part["from_exact_high"] - middle
            axes.errorbar(
                np.arange(len(steps)) + shift,
                middle,
                yerr=np.abs(np.stack([below, above])),
                fmt=line.marker,
                color=line.colour,
                capsize=2,
                label=measure,
            )
        axes.axhline(0, color=INK, linewidth=1)
        axes.set(xticks=np.arange(len(steps)), xticklabels=steps, ylabel="difference from exact")
        axes.grid(visible=False, axis="x")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
        return svg(figure, name, "Loss of each shortcut against exact search.")


def spill_bars(frame: pd.DataFrame, name: str) -> str:
    """Return the SVG of ``Evaluation.spill``: queries by clusters visited."""
    with style():
        figure, axes = canvas(height=2.8)
        axes.bar(frame["clusters"], 100 * frame["share"], width=0.8, color=BLUE, alpha=0.85)
        axes.set(xlabel="clusters visited", ylabel="% of queries", ylim=(0, None))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(visible=False, axis="x")
        return svg(figure, name, "Share of queries by number of clusters visited.")
