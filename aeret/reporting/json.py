"""Render a report as JSON: the same numbers at full precision, pictures left out."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

from aeret.reporting.report import Column, Estimate, Report, Table

_LOOKS = {"svg", "photo", "layout", "layout_caption", "legend", "folded", "frame"}
"""Fields that only say how a page looks, or that ``rows`` stands for."""


def render_json(report: Report) -> str:
    """Return the report as JSON text (no NaN; missing numbers are ``null``)."""
    return json.dumps(_tree(report), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _tree(value: Any) -> Any:
    """Return a part of a report as dictionaries, lists and plain values."""
    if isinstance(value, Column):
        return {name: getattr(value, name) for name in ("name", "title", "kind", "note")}
    if isinstance(value, Estimate):
        return value._asdict()
    if isinstance(value, tuple | list):
        return [_tree(each) for each in value]
    if not is_dataclass(value):
        return value
    names = [field.name for field in fields(value) if field.name not in _LOOKS]
    tree = {"type": value.type} if hasattr(value, "type") else {}
    tree |= {"photos" if name == "tiles" else name: _tree(getattr(value, name)) for name in names}
    return tree | {"rows": _tree(value.rows)} if isinstance(value, Table) else tree
