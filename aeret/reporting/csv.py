"""A report as one CSV file in long form: a line per number, at full precision.

Columns: ``section, table, row, label, column, part, value``. ``label`` joins the row's text cells; ``part`` is
``value``, ``low``, ``high`` or ``sd`` where a cell holds several numbers. Headlines come first, as section
``headlines``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from aeret.reporting.values import Facts, Gallery, Headline, Part, Report, Section, numbers, tables

HEADER = ("section", "table", "row", "label", "column", "part", "value")
Line = tuple[str, str, int, str, str, str, str]


def render_csv(report: Report) -> str:
    """Return the report's numbers as CSV text (RFC 4180, ``\\n`` line ends); missing numbers are empty."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(HEADER)
    for line in [*_headlines(report), *_facts(report), *_tables(report)]:
        writer.writerow([_harmless(part) if isinstance(part, str) else part for part in line[:6]] + [line[6]])
    return sink.getvalue()


def _headlines(report: Report) -> Iterator[Line]:
    for row, headline in enumerate(report.headlines):
        label = headline.measure or headline.name
        yield from _headline(headline, headline.id, row, label)
        if headline.part is not None:
            yield from _headline(headline.part, headline.id, row, f"{label} {headline.part.name}")


def _headline(number: Headline | Part, name: str, row: int, label: str) -> Iterator[Line]:
    for part in ("value", "low", "high"):
        value = getattr(number, part)
        if value is not None:
            yield "headlines", name, row, label, "value", part, repr(value)
    for floor in number.floors:
        yield "headlines", name, row, label, floor.name, "", repr(floor.value)


def _facts(report: Report) -> Iterator[Line]:
    for section in report.sections:
        for block in section.blocks:
            if isinstance(block, Facts):
                yield from _list(section, block)
            elif isinstance(block, Gallery):
                for strip in block.strips:
                    yield from _list(section, Facts(strip.id, strip.title, strip.facts))


def _list(section: Section, facts: Facts) -> Iterator[Line]:
    for row, fact in enumerate(facts.facts):
        for part, number in numbers(fact.value):
            yield section.id, facts.id, row, fact.name, "value", part, "" if number is None else repr(number)


def _tables(report: Report) -> Iterator[Line]:
    for section, table in tables(report):
        for index, row in enumerate(table.rows):
            label = " | ".join(value for value in row if isinstance(value, str))
            for column, value in zip(table.columns, row, strict=True):
                for part, number in numbers(value):
                    text = "" if number is None else repr(number)
                    yield section.id, table.id, index, label, column.name, part, text


def _harmless(text: str) -> str:
    """Keep a spreadsheet from reading a name such as ``=cmd()`` as a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
