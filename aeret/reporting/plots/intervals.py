"""Dots with intervals, a row each: means of runs, or their differences from a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from aeret.reporting.plots.style import GREY, INK, SERIES, canvas, style, svg


class Bar(NamedTuple):
    """One row."""

    name: str
    value: float
    low: float
    high: float
    arm: str = ""
    """Rows of one arm look alike."""


def intervals(bars: Sequence[Bar], name: str, title: str, lines: Mapping[str, float] | None = None) -> str:
    """Return the SVG of rows, first on top, with named vertical lines (a floor, or no difference)."""
    arms = list(dict.fromkeys(bar.arm for bar in bars))
    with style():
        figure, axes = canvas(height=0.9 + 0.24 * len(bars), width=6.4)
        for place, bar in enumerate(bars):
            look = SERIES[arms.index(bar.arm) % len(SERIES)]
            axes.plot([bar.low, bar.high], [place, place], color=look.colour, linewidth=1.6, solid_capstyle="butt")
            axes.plot([bar.value], [place], look.marker, color=look.colour, markersize=5.5)
        for text, x in (lines or {}).items():
            axes.axvline(x, color=GREY, linestyle=":", linewidth=1.2)
            axes.annotate(
                text, (x, 1), xycoords=("data", "axes fraction"), xytext=(3, 2), textcoords="offset points", color=GREY,
                fontsize=8.5,
            )  # fmt: skip
        axes.set_yticks(range(len(bars)), [bar.name for bar in bars], color=INK)
        axes.set(xlabel=title, ylim=(len(bars) - 0.4, -0.6))
        axes.grid(visible=False, axis="y")
        return svg(figure, name, f"{title}: a dot and its interval for each of {len(bars)} rows.")
