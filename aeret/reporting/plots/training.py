"""Losses and validation measures by epoch, one small panel a quantity."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from aeret.reporting.plots.style import BLUE, GREY, ORANGE, canvas, style, svg

_APART = {"epoch", "seconds", "learning_rate", "lr", "time"}


def quantities(history: pd.DataFrame, most: int = 4) -> list[str]:
    """Return the names to draw: the loss first, then numeric columns that have a ``val_`` twin, at most ``most``."""
    numeric = history.select_dtypes("number").columns
    names = [name for name in numeric if name not in _APART and not name.startswith("val_")]
    twins = [name for name in names if f"val_{name}" in history]
    return sorted(twins or names, key=lambda name: name != "loss")[:most]


def training_curves(history: pd.DataFrame, name: str, monitor: str = "val_loss") -> str:
    """Return the SVG of a training's ``history.csv`` (a row per epoch); the kept epoch is marked."""
    names = quantities(history)
    epochs = history["epoch"].to_numpy() if "epoch" in history else np.arange(1, len(history) + 1)
    best = _best(history, monitor)
    columns = min(2, len(names))
    rows = -(-len(names) // columns)
    with style():
        figure, grid = canvas(rows, columns, height=0.6 + 2.3 * rows, squeeze=False, sharex=True)
        for axes, quantity in zip(grid.flat, names, strict=False):
            marker = "o" if len(history) < 3 else None
            axes.plot(epochs, history[quantity], color=BLUE, label="train", marker=marker)
            if f"val_{quantity}" in history:
                validation = history[f"val_{quantity}"]
                axes.plot(epochs, validation, color=ORANGE, dashes=(5, 2), label="validation", marker=marker)
                if best is not None:
                    axes.plot(epochs[best], validation.iloc[best], "o", color=ORANGE, markersize=6, label="kept epoch")
            if best is not None:
                axes.axvline(epochs[best], color=GREY, linewidth=0.8, dashes=(1.5, 1.5))
            axes.set_title(quantity.replace("_", " "))
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for axes in list(grid.flat)[len(names) :]:
            axes.set_visible(False)
        for axes in grid[-1]:
            axes.set_xlabel("epoch")
        grid.flat[0].legend()
        return svg(figure, name, "Training and validation curves by epoch.")


def _best(history: pd.DataFrame, monitor: str) -> int | None:
    if monitor not in history or not history[monitor].notna().any():
        return None
    return int(np.nanargmin(history[monitor].to_numpy(dtype=np.float64)))
