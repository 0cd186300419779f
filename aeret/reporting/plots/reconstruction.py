"""Reconstruction IoU of each category against the floors "mean mask" and "PCA of the same size"."""

from __future__ import annotations

import pandas as pd

from aeret.reporting.plots.style import BLUE, GREY, ORANGE, canvas, style, svg

_MOST = 24


def reconstruction_iou(categories: pd.DataFrame, name: str) -> str:
    """Return the SVG of per-category IoU (columns category, iou, optionally pca and mean_mask), best first.

    Only the best and the worst dozen are drawn where there are more than two dozen.
    """
    ordered = categories.dropna(subset=["iou"]).sort_values("iou", ascending=False, kind="stable")
    if len(ordered) > _MOST:
        ordered = pd.concat([ordered.head(_MOST // 2), ordered.tail(_MOST // 2)])
    ordered = ordered.iloc[::-1]
    place = range(len(ordered))
    with style():
        figure, axes = canvas(height=0.9 + 0.21 * len(ordered))
        axes.hlines(place, 0, ordered["iou"], color=BLUE, linewidth=1.2, alpha=0.5)
        axes.plot(ordered["iou"], place, "o", color=BLUE, label="autoencoder")
        if "pca" in ordered:
            axes.plot(
                ordered["pca"], place, "|", color=ORANGE, markersize=9, markeredgewidth=1.8, label="PCA, same size"
            )
        if "mean_mask" in ordered:
            axes.plot(ordered["mean_mask"], place, "x", color=GREY, markersize=5, label="mean mask")
        axes.set_yticks(list(place), list(ordered["category"]))
        axes.set(xlabel="foreground IoU", xlim=(0, 1), ylim=(-0.7, len(ordered) - 0.3))
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=3)
        return svg(figure, name, "Reconstruction IoU per category with floors.")
