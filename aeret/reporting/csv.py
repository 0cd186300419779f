"""Render a report as one CSV file in long form: a line per number, at full precision."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from aeret.reporting.report import Cell, Estimate, Facts, Gallery, Headline, Report

HEADER = ("section", "table", "row", "label", "column", "part", "value")
Line = tuple[str, str, int, str, str, str, str]


def render_csv(report: Report) -> str:
    """Return the report's numbers as CSV text (RFC 4180, ``\\n`` line ends); missing numbers are empty.

    ``label`` joins the text cells of a row; ``part`` is ``value``, ``low``, ``high`` or ``sd`` for cells of several
    numbers. Headlines come first, as section ``headlines``.
    """
    lines = [
        *(line for row, each in enumerate(report.headlines) for line in _headline(row, each)),
        *_facts(report),
        *_tables(report),
    ]
    frame = pd.DataFrame(lines, columns=pd.Index(HEADER), dtype=object)
    for name in ("section", "table", "label", "column", "part"):
        frame[name] = frame[name].map(_harmless)
    return str(frame.to_csv(index=False, lineterminator="\n"))


def _headline(row: int, headline: Headline) -> Iterator[Line]:
    label = headline.measure or headline.name
    parts = [(headline, label)] + ([(headline.part, f"{label} {headline.part.name}")] if headline.part else [])
    for number, text in parts:
        for part, value in _numbers(Estimate(number.value, number.low, number.high)):
            yield "headlines", headline.id, row, text, "value", part, value
        for floor in number.floors:
            yield "headlines", headline.id, row, text, floor.name, "", repr(floor.value)


def _facts(report: Report) -> Iterator[Line]:
    for section in report.sections:
        for block in section.blocks:
            lists = block.strips if isinstance(block, Gallery) else [block] if isinstance(block, Facts) else []
            for each in lists:
                for row, fact in enumerate(each.facts):
                    for part, value in _numbers(fact.value):
                        yield section.id, each.id, row, fact.name, "value", part, value


def _tables(report: Report) -> Iterator[Line]:
    for section, table in report.tables():
        for index, row in enumerate(table.rows):
            label = " | ".join(each for each in row if isinstance(each, str))
            for column, each in zip(table.columns, row, strict=True):
                for part, value in _numbers(each):
                    yield section.id, table.id, index, label, column.name, part, value


def _numbers(value: Cell) -> Iterator[tuple[str, str]]:
    """Yield name and text of the numbers in a cell; text yields none."""
    if isinstance(value, Estimate):
        yield from ((name, repr(part)) for name, part in value._asdict().items() if part is not None)
    elif not isinstance(value, str):
        yield "", "" if value is None else repr(value)


def _harmless(text: str) -> str:
    """Keep a spreadsheet from reading a name such as ``=cmd()`` as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
