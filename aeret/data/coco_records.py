"""Decode the records of a COCO file one by one and explain those that are wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec

from aeret.data.rules import Problem, name_problem, text_problem

Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
Name = Annotated[str, msgspec.Meta(min_length=1)]
_NAN = float("nan")


class PhotoRecord(msgspec.Struct, gc=False):
    """One record of ``images``; other keys are not read, except booleans, which become flags."""

    id: Id
    file_name: Name
    width: Side
    height: Side


class CategoryRecord(msgspec.Struct, gc=False):
    """One record of ``categories``."""

    id: Id
    name: Name
    supercategory: str | None = None


class Rle(msgspec.Struct, gc=False):
    """Run-length mask: size (height, width), and runs as a compressed string or a list."""

    size: tuple[Side, Side]
    counts: str | list[Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]]


class AnnotationRecord(msgspec.Struct, gc=False):
    """One record of ``annotations``."""

    id: Id
    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float] = (_NAN, _NAN, _NAN, _NAN)
    area: float = _NAN
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] | bool = 0
    segmentation: list[list[float]] | Rle | None = None


_RECORDS: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "images": ("image", PhotoRecord),
    "annotations": ("annotation", AnnotationRecord),
    "categories": ("category", CategoryRecord),
}


def decoded(section: str, records: Sequence[msgspec.Raw]) -> Iterator[tuple[msgspec.Raw, Any, list[Problem]]]:
    """Yield each record as (text, struct or None, what is wrong with it)."""
    kind, struct = _RECORDS[section]
    decode = msgspec.json.Decoder(struct).decode
    for index, raw in enumerate(records):
        try:
            record = decode(raw)
        except msgspec.DecodeError as error:
            yield raw, *_salvaged(kind, index, struct, raw, error)
        else:
            yield raw, record, _text_problems(kind, index, record)


def _salvaged(
    kind: str, index: int, struct: type[msgspec.Struct], raw: msgspec.Raw, error: msgspec.DecodeError
) -> tuple[Any, list[Problem]]:
    """Explain each wrong field of a record that does not decode; return the rest if all needed fields are right."""
    values = plain_record(raw)
    if not isinstance(values, dict):
        return None, [Problem("bad-value", record_name(kind, index, values), f"is {shortened(raw)}, not a record")]
    where = record_name(kind, index, values)
    sound: dict[str, Any] = {}
    problems: list[Problem] = []
    needed = True
    for each in msgspec.structs.fields(struct):
        if each.name not in values:
            if each.required:
                problems.append(Problem("missing-key", where, f"has no {each.name!r}"))
                needed = False
            continue
        value = values[each.name]
        try:
            sound[each.name] = msgspec.convert(value, each.type)
            if not _is_finite(value):
                raise msgspec.ValidationError("Number out of range")
        except msgspec.ValidationError as wrong:
            sound.pop(each.name, None)
            needed = needed and not each.required
            problems.append(_field_problem(where, each.name, value, str(wrong)))
    if not problems:
        return None, [Problem("bad-value", where, str(error))]
    record = struct(**sound) if needed else None
    return record, problems + (_text_problems(kind, index, record) if record is not None else [])


def _field_problem(where: str, name: str, value: Any, wrong: str) -> Problem:
    if name == "segmentation" and isinstance(value, dict) and "missing required field" in wrong:
        return Problem(
            "missing-key", where, f"its RLE has no {wrong.rpartition('field ')[2].strip('`').split('`')[0]!r}"
        )
    if not _is_finite(value) and not isinstance(value, dict):
        return Problem("not-finite", where, f"{name} is {shortened(value)}, not finite numbers")
    return Problem("bad-value", where, f"{name} is {shortened(value)}: {wrong}")


def _text_problems(kind: str, index: int, record: Any) -> list[Problem]:
    """Return what is wrong with the names of a record whose types are right."""
    if kind == "annotation":
        return []
    where = f"{kind} {record.id}"
    if kind == "image":
        wrong = {"file_name": name_problem(record.file_name)}
    else:
        group = record.supercategory
        wrong = {"name": text_problem(record.name), "supercategory": text_problem(group) if group else None}
    return [
        Problem("bad-value", where, f"{name} is {getattr(record, name)!r}, {problem}")
        for name, problem in wrong.items()
        if problem
    ]


def record_ids(raw: msgspec.Raw, record: Any) -> list[int]:
    """Return the id of a record, or of the right part of a broken one."""
    if record is not None:
        return [record.id]
    values = plain_record(raw)
    number = values.get("id") if isinstance(values, dict) else None
    return [number] if type(number) is int and -(2**63) <= number < 2**63 else []


def plain_record(raw: msgspec.Raw) -> Any:
    """Decode a record into Python's own types; numbers beyond float64 become infinite."""

    def whole(text: str) -> int | float:
        return int(text) if len(text) < 300 else math.inf

    return json.loads(bytes(raw), parse_int=whole)


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def record_name(kind: str, index: int, values: Any) -> str:
    """Return how a message names a record: by its id, or by its place in the list."""
    number = values.get("id") if isinstance(values, dict) else None
    return f"{kind} {number}" if type(number) is int else f"{kind} record {index} (counted from 0)"


def shortened(value: Any) -> str:
    """Return a value as text of at most 60 characters."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)
    text = bytes(value).decode("utf-8", "replace") if isinstance(value, msgspec.Raw) else text
    return text if len(text) <= 60 else text[:57] + "..."
