"""Render a report as JSON at full precision, without its pictures."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

from aeret.reporting.values import Estimate, Interval, Report, Strip

_DRAWN = {"svg", "folded", "bar", "legend", "photo", "layout", "layout_caption"}
"""Fields that only a page can show."""


def render_json(report: Report) -> str:
    """Return the report as JSON text; missing numbers are ``null``, never NaN."""
    tree = _tree(report)
    for notice in tree["notices"]:
        del notice["type"]
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _tree(value: Any) -> Any:
    """Return a value of a report as what ``json`` can write."""
    if isinstance(value, Interval | Estimate):
        return value._asdict()
    if isinstance(value, tuple):
        return [_tree(each) for each in value]
    if not is_dataclass(value):
        return value
    found = {part.name: _tree(getattr(value, part.name)) for part in fields(value) if part.name not in _DRAWN}
    if isinstance(value, Strip):
        found["photos"] = found.pop("tiles")
        for fact in found["facts"]:
            del fact["note"]
    kind = getattr(value, "type", None)
    return found if kind is None else {"type": kind, **found}
