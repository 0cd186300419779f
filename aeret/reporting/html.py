"""Render a report as one HTML file without script, network access or other files."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from aeret.reporting.formats import MISSING, show
from aeret.reporting.report import Block, Cell, Column, Estimate, Figure, Headline, Picture, Report

_TEMPLATES = Path(__file__).parent / "templates"
_MARKS = {"query": "query", "relevant": "✓", "irrelevant": "✕"}


def render_html(report: Report) -> str:
    """Return the report as HTML text; numbers are ``<data value="full precision">as shown</data>``."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"uri": _uri, "cell": _cell, "show": show, "svg": Markup, "plotgroups": _plot_groups}
    environment.globals |= {"track": _track, "marks": _MARKS, "bar": _bar}
    css = Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return environment.get_template("report.html").render(report=report, css=css)


def _plot_groups(blocks: Sequence[Block]) -> list[list[Block]]:
    """Group plots that follow one another, so that they stand side by side."""
    keyed = groupby(blocks, key=lambda block: isinstance(block, Figure))
    return [group for plots, members in keyed for group in ([list(members)] if plots else [[one] for one in members])]


def _uri(picture: Picture) -> str:
    return f"data:{picture.mime};base64,{base64.b64encode(picture.data).decode('ascii')}"


def _cell(value: Cell, kind: str) -> Markup:
    """Return the inner HTML of a cell; an interval goes small under its value."""
    if value is None:
        return Markup('<span class="missing" title="no such number">{}</span>').format(MISSING)
    if isinstance(value, str):
        return escape(value)
    if not isinstance(value, Estimate):
        return Markup('<data value="{}">{}</data>').format(repr(value), show(value, kind))
    text = _cell(value.value, kind)
    if value.sd is not None:
        text += Markup(' <span class="sd">± {}</span>').format(_cell(value.sd, kind))
    if value.low is not None and value.high is not None:
        ends = _cell(value.low, kind), _cell(value.high, kind)
        text += Markup('<small class="interval">{} – {}</small>').format(*ends)
    return text


def _bar(value: Cell, column: Column) -> str:
    """Return the style that draws the bar of a cell; empty for a column without bars."""
    number = value.value if isinstance(value, Estimate) else value
    if not column.bar or isinstance(number, str) or number is None:
        return ""
    return f"--v:{_share(number):.4f}"


def _track(headline: Headline) -> list[tuple[str, float, str]]:
    """Return class, place in per cent and title of each floor on the scale of a headline."""
    return [
        (
            "reference" if floor.reference else "floor",
            round(100 * _share(floor.value), 2),
            f"{floor.name} {show(floor.value, headline.kind)}",
        )
        for floor in headline.floors
    ]


def _share(value: float) -> float:
    return min(max(float(value), 0.0), 1.0)
