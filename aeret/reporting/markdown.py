"""Render a report as Markdown (GitHub flavour): the same numbers as the HTML, pictures described."""

from __future__ import annotations

import re
from collections.abc import Iterator

from aeret.reporting.formats import show
from aeret.reporting.report import (
    Block,
    Estimate,
    Fact,
    Facts,
    Figure,
    Gallery,
    Headline,
    Notice,
    Part,
    Prose,
    Report,
    Table,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def render_markdown(report: Report) -> str:
    """Return the report as Markdown text."""
    paragraphs = [f"# {_escape(report.title)}", _escape(report.subtitle), *map(_block, report.notices)]
    if report.headlines:
        head = ("| The numbers that matter | Value | Beside its floors | What it says |", "|:--|--:|:--|:--|")
        paragraphs.append("\n".join([*head, *map(_headline, report.headlines)]))
    for section in report.sections:
        paragraphs += [f"## {_escape(section.title)}", *map(_block, section.blocks)]
    return "\n\n".join(paragraphs).rstrip() + "\n"


def _headline(headline: Headline) -> str:
    value, floors = _number(headline, headline.kind)
    if headline.part is not None:
        part, its_floors = _number(headline.part, headline.kind)
        value += f"; {_escape(headline.part.name)} {part}"
        floors += f"; {_escape(headline.part.name)}: {its_floors}"
    name = _escape(headline.name) + (f" ({_escape(headline.measure)})" if headline.measure else "")
    return f"| **{name}** | {value} | {floors} | {_escape(headline.meaning)} |"


def _number(number: Part, kind: str) -> tuple[str, str]:
    """Return the value with its interval, and its floors."""
    floors = ", ".join(
        f"{_escape(floor.name)} {show(floor.value, kind)}" + (" (not beaten)" if number.missed(floor) else "")
        for floor in number.floors
    )
    return _escape(show(Estimate(number.value, number.low, number.high), kind)), floors


def _block(block: Block) -> str:
    match block:
        case Prose():
            return _escape(block.text)
        case Notice():
            return f"> **{block.level.capitalize()}:** {_escape(block.text)}"
    return "\n\n".join([f"### {_escape(block.title)}", *_paragraphs(block)])


def _paragraphs(block: Table | Facts | Figure | Gallery) -> Iterator[str]:
    match block:
        case Table():
            if block.caption:
                yield _escape(block.caption)
            yield _rows(block)
            notes = (*(f"{column.title}: {column.note}" for column in block.columns if column.note), *block.notes)
            yield from (f"*{_escape(note)}*" for note in notes)
        case Facts():
            yield "\n".join(f"- {_escape(fact.name)}: {_value(fact)}{_note(fact.note)}" for fact in block.facts)
            if block.caption:
                yield f"*{_escape(block.caption)}*"
        case Figure():
            yield f"*{_escape(block.caption)}*"
            if block.data is not None:
                yield _rows(block.data)
        case Gallery():
            yield f"*{_escape(block.caption)}* (The photos are in the HTML report.)"
            lines = []
            for strip in block.strips:
                facts = ", ".join(f"{_escape(fact.name)} {_value(fact)}" for fact in strip.facts)
                line = f"- **{_escape(strip.title)}**" + (f": {facts}" if facts else "")
                lines.append(line + (f". {_escape(strip.note)}" if strip.note else ""))
            yield "\n".join(lines)


def _rows(table: Table) -> str:
    kinds = [column.kind for column in table.columns]
    head = [column.title for column in table.columns]
    rows = [[show(*each) for each in zip(row, kinds, strict=True)] for row in table.rows]
    first, *lines = ["| " + " | ".join(map(_escape, cells)) + " |" for cells in (head, *rows)]
    rule = "|" + "|".join(":--" if kind == "text" else "--:" for kind in kinds) + "|"
    return "\n".join([first, rule, *lines])


def _value(fact: Fact) -> str:
    return _escape(show(fact.value, fact.kind))


def _note(text: str) -> str:
    return f" ({_escape(text)})" if text else ""


def _escape(text: str) -> str:
    """Escape what Markdown or the HTML inside it would read as markup; one line stays one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.splitlines())).replace("&", "&amp;")
