"""How much of the latent code there is along each of its principal axes, and how much of that the CNN predicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.reporting.plots.style import BLUE, ORANGE, canvas, style, svg


def code_spectrum(variance: NDArray[np.float64], r2: NDArray[np.float64], name: str) -> str:
    """Return the SVG of variance shares and R2 along the principal axes, both float64 (m,), most variance first."""
    axis = np.arange(1, len(variance) + 1)
    with style():
        figure, (top, bottom) = canvas(2, 1, height=3.8, sharex=True)
        top.step(axis, np.cumsum(variance), where="mid", color=BLUE)
        top.set(ylim=(0, 1.02))
        top.set_title("variance of the true code, cumulated")
        bottom.axhline(0, color=ORANGE, linewidth=1, dashes=(5, 2))
        shown = np.clip(r2, -0.5, 1)
        bottom.bar(axis, shown, width=0.9, color=BLUE, linewidth=0)
        bottom.set_title("R2 of the predicted code (dashed: predicting the mean)")
        bottom.set(xlabel="principal axis of the true code", xlim=(0.4, len(axis) + 0.6))
        for axes in (top, bottom):
            axes.grid(visible=False, axis="x")
        return svg(figure, name, "Latent spectrum and R2 of the predicted code by principal axis.")
