"""A report as one HTML file that needs nothing else: no network, no script, no font, no second file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from aeret.reporting.formats import MISSING, show
from aeret.reporting.values import Block, Cell, Column, Estimate, Figure, Headline, Interval, Picture, Report

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
    environment.filters["uri"] = _uri
    environment.filters["cell"] = _cell
    environment.filters["show"] = show
    environment.filters["svg"] = Markup
    environment.filters["plotgroups"] = _plot_groups
    environment.globals["track"] = _track
    environment.globals["marks"] = _MARKS
    environment.globals["bar"] = _bar
    css = Markup((_TEMPLATES / "report.css").read_text(encoding="utf-8"))
    return environment.get_template("report.html").render(report=report, css=css)


def _plot_groups(blocks: Sequence[Block]) -> list[list[Block]]:
    """Return the blocks with plots that follow one another in one group, to stand side by side."""
    keyed = groupby(blocks, key=lambda block: isinstance(block, Figure))
    return [group for plots, members in keyed for group in ([list(members)] if plots else [[one] for one in members])]


def _uri(picture: Picture) -> str:
    return f"data:{picture.mime};base64,{base64.b64encode(picture.data).decode('ascii')}"


def _cell(value: Cell, kind: str) -> Markup:
    """Return a cell's inner HTML; an interval around a value goes small under it."""
    if value is None:
        return Markup('<span class="missing" title="no such number">{}</span>').format(MISSING)
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Interval):
        return Markup("{} – {}").format(_data(value.low, kind), _data(value.high, kind))
    if isinstance(value, Estimate):
        text = _data(value.value, kind)
        if value.sd is not None:
            text += Markup(' <span class="sd">± {}</span>').format(_data(value.sd, kind))
        if value.low is not None and value.high is not None:
            interval = Markup("{} – {}").format(_data(value.low, kind), _data(value.high, kind))
            text += Markup('<small class="interval">{}</small>').format(interval)
        return text
    return _data(value, kind)


def _data(value: float, kind: str) -> Markup:
    return Markup('<data value="{}">{}</data>').format(repr(value), show(value, kind))


def _bar(value: Cell, column: Column) -> str:
    """Return the style that draws a cell's bar, empty where the column has none."""
    if isinstance(value, Estimate):
        value = value.value
    if not column.bar or isinstance(value, str | Interval) or value is None:
        return ""
    return f"--v:{min(max(float(value), 0.0), 1.0):.4f}"


def _track(headline: Headline) -> list[tuple[str, float, str]]:
    """Return what a headline's scale shows, as (class, per cent of the width, title), on a scale from 0 to 1."""
    marks = [
        ("reference" if floor.reference else "floor", floor.value, f"{floor.name} {show(floor.value, headline.kind)}")
        for floor in headline.floors
    ]
    return [(kind, round(100 * min(max(value, 0.0), 1.0), 2), title) for kind, value, title in marks]
