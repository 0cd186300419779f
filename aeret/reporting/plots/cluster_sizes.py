"""How many photos each cluster holds, largest first, with the even share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from aeret.reporting.plots.style import BLUE, INK, canvas, style, svg


def cluster_sizes(sizes: Sequence[int], name: str) -> str:
    """Return the SVG of the sizes of ``k`` clusters."""
    ordered = np.sort(np.asarray(sizes, dtype=np.int64))[::-1]
    even = ordered.sum() / max(len(ordered), 1)
    with style():
        figure, axes = canvas()
        axes.fill_between(
            np.arange(len(ordered) + 1), np.r_[ordered, 0], step="post", color=BLUE, alpha=0.85, linewidth=0
        )
        axes.axhline(even, color=INK, linewidth=1, dashes=(4, 2))
        axes.annotate(
            f"even share, {even:.0f}",
            (len(ordered), even),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            va="bottom",
        )
        axes.set(xlabel="clusters, largest first", ylabel="photos", xlim=(0, len(ordered)), ylim=(0, None))
        axes.grid(visible=False, axis="x")
        return svg(figure, name, "Cluster sizes, largest first.")
