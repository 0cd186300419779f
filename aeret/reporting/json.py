"""A report as JSON: the same numbers at full precision, pictures left out."""

from __future__ import annotations

import json
from typing import Any

from aeret.reporting.values import (
    Block,
    Cell,
    Estimate,
    Facts,
    Figure,
    Gallery,
    Headline,
    Interval,
    Notice,
    Part,
    Prose,
    Report,
    Table,
)


def render_json(report: Report) -> str:
    """Return the report as JSON text (no NaN; missing numbers are ``null``)."""
    tree = {
        "title": report.title,
        "subtitle": report.subtitle,
        "notices": [{"level": notice.level, "text": notice.text} for notice in report.notices],
        "headlines": [_headline(headline) for headline in report.headlines],
        "sections": [
            {"id": section.id, "title": section.title, "blocks": [_block(block) for block in section.blocks]}
            for section in report.sections
        ],
    }
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _headline(headline: Headline) -> dict[str, Any]:
    return {
        "id": headline.id,
        "measure": headline.measure,
        "kind": headline.kind,
        **_number(headline),
        "part": None if headline.part is None else _number(headline.part),
        "meaning": headline.meaning,
    }


def _number(number: Headline | Part) -> dict[str, Any]:
    return {
        "name": number.name,
        "value": number.value,
        "low": number.low,
        "high": number.high,
        "floors": [{"name": floor.name, "value": floor.value, "reference": floor.reference} for floor in number.floors],
    }


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Table():
            return _table(block)
        case Facts():
            facts = [
                {"name": fact.name, "kind": fact.kind, "value": _cell(fact.value), "note": fact.note}
                for fact in block.facts
            ]
            return {"type": "facts", "id": block.id, "title": block.title, "facts": facts, "caption": block.caption}
        case Prose():
            return {"type": "prose", "text": block.text}
        case Notice():
            return {"type": "notice", "level": block.level, "text": block.text}
        case Figure():
            data = None if block.data is None else _table(block.data)
            return {"type": "figure", "id": block.id, "title": block.title, "caption": block.caption, "data": data}
        case Gallery():
            strips = [
                {
                    "id": strip.id,
                    "title": strip.title,
                    "note": strip.note,
                    "facts": [
                        {"name": fact.name, "kind": fact.kind, "value": _cell(fact.value)} for fact in strip.facts
                    ],
                    "photos": [{"caption": tile.caption, "mark": tile.mark} for tile in strip.tiles],
                }
                for strip in block.strips
            ]
            return {"type": "gallery", "id": block.id, "title": block.title, "caption": block.caption, "strips": strips}


def _table(table: Table) -> dict[str, Any]:
    return {
        "type": "table",
        "id": table.id,
        "title": table.title,
        "caption": table.caption,
        "columns": [
            {"name": column.name, "title": column.title, "kind": column.kind, "note": column.note}
            for column in table.columns
        ],
        "rows": [[_cell(value) for value in row] for row in table.rows],
        "row_kinds": list(table.row_kinds),
        "notes": list(table.notes),
    }


def _cell(value: Cell) -> Any:
    return value._asdict() if isinstance(value, Interval | Estimate) else value
