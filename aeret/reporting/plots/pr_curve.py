"""Precision against recall over the whole ranking, with the base rate and the query-free ranking under it."""

from __future__ import annotations

import pandas as pd

from aeret.reporting.plots.style import BLUE, GREY, ORANGE, canvas, style, svg


def pr_curve(curve: pd.DataFrame, name: str) -> str:
    """Return the SVG of ``Evaluation.pr_curve`` (columns recall, precision, floor, query_free)."""
    with style():
        figure, axes = canvas()
        axes.fill_between(curve["recall"], curve["floor"], curve["precision"], color=BLUE, alpha=0.1, linewidth=0)
        axes.plot(curve["recall"], curve["precision"], color=BLUE, label="this embedding, exhaustive search")
        axes.plot(
            curve["recall"], curve["query_free"], color=ORANGE, dashes=(5, 2), label="best ranking blind to the query"
        )
        axes.plot(curve["recall"], curve["floor"], color=GREY, dashes=(1.5, 1.5), label="random ranking (base rate)")
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        axes.legend(loc="lower left")
        return svg(figure, name, "Precision against recall, with random and query-free rankings as floors.")
