"""A report as Markdown (GitHub flavour): the same numbers as the HTML, pictures described."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aeret.reporting.formats import show
from aeret.reporting.values import Block, Estimate, Facts, Figure, Gallery, Headline, Notice, Part, Prose, Report, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def render_markdown(report: Report) -> str:
    """Return the report as Markdown text."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {_escape(report.title)}"
    yield ""
    yield _escape(report.subtitle)
    yield ""
    for notice in report.notices:
        yield from _block(notice)
    if report.headlines:
        yield "| The numbers that matter | Value | Beside its floors | What it says |"
        yield "|:--|--:|:--|:--|"
        for headline in report.headlines:
            yield _headline(headline)
        yield ""
    for section in report.sections:
        yield f"## {_escape(section.title)}"
        yield ""
        for block in section.blocks:
            yield from _block(block)


def _headline(headline: Headline) -> str:
    value, floors = _number(headline, headline.kind)
    if headline.part is not None:
        part, its_floors = _number(headline.part, headline.kind)
        value += f"; {_escape(headline.part.name)} {part}"
        floors += f"; {_escape(headline.part.name)}: {its_floors}"
    name = _escape(headline.name) + (f" ({_escape(headline.measure)})" if headline.measure else "")
    return f"| **{name}** | {value} | {floors} | {_escape(headline.meaning)} |"


def _number(number: Headline | Part, kind: str) -> tuple[str, str]:
    """Return the value with its interval, and its floors."""
    floors = ", ".join(
        f"{_escape(floor.name)} {show(floor.value, kind)}" + (" (not beaten)" if number.missed(floor) else "")
        for floor in number.floors
    )
    return _escape(show(Estimate(number.value, number.low, number.high), kind)), floors


def _block(block: Block) -> Iterator[str]:
    match block:
        case Prose():
            yield _escape(block.text)
        case Notice():
            yield f"> **{block.level.capitalize()}:** {_escape(block.text)}"
        case Table():
            yield from _table(block)
        case Facts():
            yield from _facts(block)
        case Figure():
            yield f"### {_escape(block.title)}"
            yield ""
            yield f"*{_escape(block.caption)}*"
            if block.data is not None:
                yield ""
                yield from _rows(block.data)
        case Gallery():
            yield from _gallery(block)
    yield ""


def _table(table: Table) -> Iterator[str]:
    yield f"### {_escape(table.title)}"
    yield ""
    if table.caption:
        yield _escape(table.caption)
        yield ""
    yield from _rows(table)
    for note in (*(f"{column.title}: {column.note}" for column in table.columns if column.note), *table.notes):
        yield ""
        yield f"*{_escape(note)}*"


def _rows(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(_escape(column.title) for column in table.columns) + " |"
    yield "|" + "|".join(":--" if column.kind == "text" else "--:" for column in table.columns) + "|"
    for row in table.rows:
        cells = (_escape(show(value, column.kind)) for value, column in zip(row, table.columns, strict=True))
        yield "| " + " | ".join(cells) + " |"


def _facts(facts: Facts) -> Iterator[str]:
    yield f"### {_escape(facts.title)}"
    yield ""
    for fact in facts.facts:
        note = f" ({_escape(fact.note)})" if fact.note else ""
        yield f"- {_escape(fact.name)}: {_escape(show(fact.value, fact.kind))}{note}"
    if facts.caption:
        yield ""
        yield f"*{_escape(facts.caption)}*"


def _gallery(gallery: Gallery) -> Iterator[str]:
    yield f"### {_escape(gallery.title)}"
    yield ""
    yield f"*{_escape(gallery.caption)}* (The photos are in the HTML report.)"
    yield ""
    for strip in gallery.strips:
        facts = ", ".join(f"{_escape(fact.name)} {_escape(show(fact.value, fact.kind))}" for fact in strip.facts)
        line = f"- **{_escape(strip.title)}**"
        yield line + (f": {facts}" if facts else "") + (f". {_escape(strip.note)}" if strip.note else "")


def _escape(text: str) -> str:
    """Escape what Markdown or the HTML inside it would read as markup; one line stays one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.splitlines())).replace("&", "&amp;")
