"""The one look of all plots: colour-blind safe (Okabe and Ito 2008), text kept as text, byte-reproducible SVG.

Colours are written as CSS variables with a fallback, so an inlined plot follows the page's light or dark theme and a
plot saved alone still has its colours. No series is told apart by colour alone: line style or marker differ too.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, GRID, GREY = "#33393f", "#dfe0dc", "#7b838b"
BLUE, ORANGE, GREEN, SKY, PINK = "#0072b2", "#d55e00", "#009e73", "#56b4e9", "#b5588f"


@dataclass(frozen=True)
class Line:
    """How one series is drawn."""

    colour: str
    dashes: str | tuple[int, tuple[float, ...]]
    marker: str


SERIES = (
    Line(BLUE, "-", "o"),
    Line(ORANGE, (0, (5, 2)), "s"),
    Line(GREEN, (0, (1.5, 1.5)), "^"),
    Line(PINK, (0, (6, 1.5, 1.5, 1.5)), "D"),
    Line(SKY, (0, (3, 1)), "v"),
)
"""Series in the order they are used."""

_VARIABLES = {
    INK: "--plot-ink",
    GRID: "--plot-grid",
    GREY: "--plot-grey",
    BLUE: "--plot-blue",
    ORANGE: "--plot-orange",
    GREEN: "--plot-green",
    SKY: "--plot-sky",
    PINK: "--plot-pink",
}
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "aeret",
    # Category names are data: a dollar sign in one is no formula.
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the house style, whatever the user's matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def canvas(
    rows: int = 1, columns: int = 1, width: float = 5.2, height: float = 3.4, **options: Any
) -> tuple[Figure, Any]:
    """Return a figure (inches) outside matplotlib's global state, and its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure, figure.subplots(rows, columns, **options)


def unit_axis(axes: Axes, axis: str = "y") -> None:
    """Let an axis that shows shares run from 0 to 1."""
    getattr(axes, f"set_{axis}lim")(0, 1)


def svg(figure: Figure, name: str, description: str) -> str:
    """Return the figure as an ``<svg>`` element for inlining.

    Args:
        figure: drawn under :func:`style`.
        name: prefix of all ids in it, unique in the page.
        description: what it shows, for readers who cannot see it.
    """
    sink = io.StringIO()
    figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = sink.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    # Theme only style attributes: a text such as a category name is left as it is.
    text = re.sub(r'style="[^"]*"', lambda match: _themed(match.group()), text)
    # Hundredths of a point are enough for a path; the words between the tags are left as they are.
    text = re.sub(r"<[^>]+>", lambda match: re.sub(r"(\d+\.\d{2})\d+", r"\1", match.group()), text)
    head, body = text.split(">", 1)
    head = re.sub(r'\s(?:width|height|xmlns(?::xlink)?|version)="[^"]*"', "", head)
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    head += ' xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    head += f' role="img" aria-label="{label}"'
    return re.sub(r">\s+<", ">\n<", f"{head}>{body}").strip() + "\n"


def _themed(attribute: str) -> str:
    for colour, variable in _VARIABLES.items():
        attribute = attribute.replace(colour, f"var({variable}, {colour})")
    return attribute
