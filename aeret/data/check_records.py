"""The rules of :mod:`aeret.data.rules` that can be seen in the annotation file alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from aeret.data.json_batches import SECTIONS
from aeret.data.rle import decode_strings
from aeret.data.rules import name_problem, text_problem

Problem = tuple[str, str, str]
"""rule, where, what is wrong"""

_SPACE = re.compile(r"\s*")
_NO_RLE = re.compile(r"[^0-o]")
_USED = (
    *("id", "file_name", "height", "width", "name", "supercategory"),
    *("image_id", "category_id", "iscrowd", "area", "bbox", "segmentation"),
)
_DIGITS = 300  # of a whole number that is still a finite float


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= _DIGITS else float(text)


_DECODER = json.JSONDecoder(parse_int=_whole)  # reads NaN and Infinity, so that they can be reported


class Broken(Exception):
    """The text is no JSON from here on; ``where`` names line and column."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(problem)
        self.where = where


class Photo(NamedTuple):
    """What an image record says of its file."""

    where: str
    """the record"""
    number: int | None
    """its id"""
    size: tuple[int, int] | None
    """height and width"""


@dataclass
class Known:
    """What the annotations of a file may refer to."""

    photos: dict[int, tuple[int, int] | None] = field(default_factory=dict)
    """id -> height and width, where the record gives them rightly and no other record gives that id other ones"""
    files: dict[str, Photo] = field(default_factory=dict)
    """file name -> the first record of it; its id and size where they are right"""
    categories: dict[int, tuple[str, str]] = field(default_factory=dict)
    """id -> name and supercategory; without a name, two empty texts"""
    complete: set[str] = field(default_factory=set)
    """sections that have been read to their end"""


def walk(text: str) -> Iterator[tuple[str, int, Any]]:
    """Yield (section, index, record) one by one, and (section, -1, a list or what it is instead) at its end.

    Raises:
        Broken: the text is cut off or no JSON; all records before have been yielded.
    """
    try:
        yield from _walk(text)
    except json.JSONDecodeError as error:
        raise Broken(f"line {error.lineno} column {error.colno}", error.msg) from None
    except (IndexError, StopIteration, RecursionError) as error:
        raise Broken("its end", f"is cut off ({type(error).__name__})") from None


def check_photos_and_categories(text: str, known: Known) -> Iterator[Problem]:
    """Yield what is wrong with the file as a whole, its image and its category records; fill ``known``."""
    ended: set[str] = set()
    try:
        for section, index, record in walk(text):
            if index < 0:
                if section in ended:
                    yield "duplicate-section", section, "is given more than once"
                ended.add(section)
                if isinstance(record, list):
                    known.complete.add(section)
                else:
                    yield "missing-section", section, f"is {_short(record)}, no list"
            elif section == "images":
                yield from _photo(index, record, known)
            elif section == "categories":
                yield from _category(index, record, known)
    except Broken as error:
        yield "truncated-json", error.where, str(error)
    else:
        for section in SECTIONS:
            if section not in ended:
                yield "missing-section", section, "is not in the file"


def check_annotations(text: str, known: Known) -> Iterator[tuple[int, list[Problem]]]:
    """Yield (index, what is wrong) of each annotation record. ``known`` has been filled."""
    ids: set[int] = set()
    try:
        for section, index, record in walk(text):
            if section == "annotations" and index >= 0:
                yield index, list(_annotation(index, record, known, ids))
    except Broken:
        return  # told by check_photos_and_categories


def _walk(text: str) -> Iterator[tuple[str, int, Any]]:
    at = _expect(text, 0, "{")
    if text[at] == "}":
        return
    while True:
        key, at = _DECODER.raw_decode(text, at)
        at = _expect(text, at, ":")
        if key in SECTIONS and text[at] == "[":
            at = _space(text, at + 1)
            index = 0
            while text[at] != "]":
                if index:
                    at = _expect(text, at, ",")
                record, at = _DECODER.raw_decode(text, at)
                yield key, index, record
                index += 1
                at = _space(text, at)
            yield key, -1, []
            at += 1
        else:
            value, at = _DECODER.raw_decode(text, at)
            if key in SECTIONS:
                yield key, -1, value
        at = _space(text, at)
        if text[at] == "}":
            break
        at = _expect(text, at, ",")
    if _space(text, at + 1) != len(text):
        raise json.JSONDecodeError("more text after the end", text, at + 1)


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _expect(text: str, at: int, mark: str) -> int:
    at = _space(text, at)
    if text[at] != mark:
        raise json.JSONDecodeError(f"expected {mark!r}", text, at)
    return _space(text, at + 1)


def _photo(index: int, record: Any, known: Known) -> Iterator[Problem]:
    where = _where("image", index, record)
    sound = yield from _keys(where, record, {"id": _integer, "file_name": _file_name, "height": _side, "width": _side})
    number = record["id"] if "id" in sound else None
    size = (record["height"], record["width"]) if {"height", "width"} <= sound else None
    if number is not None:
        if number in known.photos:
            yield "duplicate-id", where, "an image record before has this id"
        known.photos[number] = size if known.photos.get(number, size) == size else None
    if "file_name" in sound:
        if first := known.files.get(record["file_name"]):
            yield "duplicate-file", where, f"file_name {record['file_name']!r} is also that of {first.where}"
        else:
            known.files[record["file_name"]] = Photo(where, number, size)


def _category(index: int, record: Any, known: Known) -> Iterator[Problem]:
    where = _where("category", index, record)
    sound = yield from _keys(where, record, {"id": _integer, "name": _name})
    group = record.get("supercategory") if isinstance(record, dict) else None
    if group is not None and group != "" and (problem := _name(group)):
        yield "bad-value", where, f"supercategory is {_short(group)}, {problem}"
    if "name" in sound:
        name = record["name"]
        first = next((number for number, (known_name, _) in known.categories.items() if known_name == name), None)
        if first is not None and record.get("id") != first:
            yield "duplicate-name", where, f"name {name!r} is also that of category {first}"
    if "id" in sound:
        if record["id"] in known.categories:
            yield "duplicate-id", where, "a category record before has this id"
        name = record["name"] if "name" in sound else ""
        known.categories[record["id"]] = (name, group if isinstance(group, str) and group else name)


def _annotation(index: int, record: Any, known: Known, ids: set[int]) -> Iterator[Problem]:
    where = _where("annotation", index, record)
    sound = yield from _keys(where, record, {"id": _integer, "image_id": _integer, "category_id": _integer})
    if not isinstance(record, dict):
        return
    if "id" in sound:
        if record["id"] in ids:
            yield "duplicate-id", where, "an annotation record before has this id"
        ids.add(record["id"])
    if "image_id" in sound and "images" in known.complete and record["image_id"] not in known.photos:
        yield "unknown-photo", where, f"there is no image {record['image_id']}"
    if "category_id" in sound and "categories" in known.complete and record["category_id"] not in known.categories:
        yield "unknown-category", where, f"there is no category {record['category_id']}"
    crowd = record.get("iscrowd", 0)
    if not (isinstance(crowd, int) and crowd in (0, 1)):
        yield "bad-value", where, f"iscrowd is {_short(record['iscrowd'])}, neither 0 nor 1"
    if "area" in record:
        yield from _numbers(where, "area", [record["area"]], 1)
    if "bbox" in record:
        yield from _numbers(where, "bbox", record["bbox"], 4)
    size = known.photos.get(record["image_id"]) if "image_id" in sound else None
    mask = record.get("segmentation")
    if mask is None:
        yield "no-segmentation", where, "has no segmentation"
    elif isinstance(mask, list):
        yield from _polygons(where, mask, size)
    elif isinstance(mask, dict):
        yield from _runs(where, mask, size)
    else:
        yield "bad-value", where, f"segmentation is {_short(mask)}, neither polygons nor an RLE"


def _polygons(where: str, parts: list[Any], size: tuple[int, int] | None) -> Iterator[Problem]:
    if not parts:
        yield "empty-polygon", where, "its segmentation has no part"
        return
    area, whole = 0.0, True
    low_x = low_y = math.inf
    high_x = high_y = -math.inf
    for number, part in enumerate(parts):
        problem = _part_problem(part)
        if problem:
            whole = False
            yield problem[0], where, f"part {number} of its polygon {problem[1]}"
            continue
        x, y = list(map(float, part[0::2])), list(map(float, part[1::2]))
        low_x, low_y = min(low_x, *x), min(low_y, *y)
        high_x, high_y = max(high_x, *x), max(high_y, *y)
        area += abs(sum(x[i - 1] * y[i] - x[i] * y[i - 1] for i in range(len(x)))) / 2
    # A hair over the border is rounding.
    if size and (min(low_x, low_y) < -0.01 or high_x > size[1] + 0.01 or high_y > size[0] + 0.01):
        box = f"x {low_x:g} to {high_x:g}, y {low_y:g} to {high_y:g}"
        yield (
            "outside-polygon",
            where,
            f"its polygon reaches {box} in a photo of {size[1]} x {size[0]} (width x height)",
        )
    if whole and area < 1:
        yield "tiny-polygon", where, f"its polygon covers {area:.3g} square pixels"


def _part_problem(part: Any) -> tuple[str, str] | None:
    if not isinstance(part, list) or not all(_is_number(value) for value in part):
        return "bad-value", f"is {_short(part)}, no list of numbers"
    if not part:
        return "empty-polygon", "has no coordinate"
    if not all(map(math.isfinite, part)):
        return "not-finite", "has a coordinate that is NaN or infinite"
    if len(part) % 2:
        return "odd-polygon", f"has {len(part)} coordinates, an odd number"
    if len(part) < 6:
        return "degenerate-polygon", f"has {len(part) // 2} points, fewer than three"
    return None


def _runs(where: str, mask: dict[str, Any], size: tuple[int, int] | None) -> Iterator[Problem]:
    given, counts = mask.get("size"), mask.get("counts")
    for key, value in (("size", given), ("counts", counts)):
        if value is None:
            yield "missing-key", where, f"its RLE has no {key!r}"
    if given is None or counts is None:
        return
    if not (isinstance(given, list) and len(given) == 2 and all(_side(side) is None for side in given)):
        yield "bad-rle", where, f"the size of its RLE is {_short(given)}, not [height, width]"
        return
    if size and given != list(size):
        yield "bad-rle", where, f"its RLE has size {given}, its photo {list(size)} (height, width)"
    if isinstance(counts, str):
        if _NO_RLE.search(counts):
            yield "bad-rle", where, "its RLE string has characters that no RLE has"
            return
        runs = decode_strings([counts.encode()])[1]
    elif isinstance(counts, list) and all(_integer(count) is None for count in counts):
        runs = np.array(counts, np.int64)
    else:
        yield "bad-value", where, f"the counts of its RLE are {_short(counts)}, neither a string nor a list of integers"
        return
    if (runs < 0).any() or runs.sum() != given[0] * given[1]:
        yield (
            "bad-rle",
            where,
            f"the runs of its RLE sum to {runs.sum()}, its size {given} has {given[0] * given[1]} pixels",
        )


def _keys(where: str, record: Any, wanted: dict[str, Any]) -> Any:
    """Yield what is wrong with the keys that aeret needs; return the set of those that are right."""
    if not isinstance(record, dict):
        yield "bad-value", where, f"is {_short(record)}, no record"
        return set()
    sound = set()
    for key, wrong in wanted.items():
        if key not in record:
            yield "missing-key", where, f"has no {key!r}"
        elif problem := wrong(record[key]):
            rule = "not-finite" if _is_number(record[key]) and not math.isfinite(record[key]) else "bad-value"
            yield rule, where, f"{key} is {_short(record[key])}, {problem}"
        else:
            sound.add(key)
    for key, value in record.items():
        if key not in _USED and (problem := _unreadable(value)):
            yield "bad-value", where, f"{_short(key)} is {_short(value)}, {problem}"
    return sound


def _unreadable(value: Any) -> str | None:
    """Return why the value of a key that aeret does not use still spoils the file, or None."""
    if isinstance(value, str):
        return "half a letter" if value and text_problem(value) else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "which is not in JSON"
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((problem for part in parts if (problem := _unreadable(part))), None)


def _numbers(where: str, key: str, values: Any, count: int) -> Iterator[Problem]:
    if not isinstance(values, list) or len(values) != count or not all(map(_is_number, values)):
        yield "bad-value", where, f"{key} is {_short(values)}, expected {count} number{'s' * (count > 1)}"
    elif not all(map(math.isfinite, values)):
        yield "not-finite", where, f"{key} is {_short(values)}"


def _where(kind: str, index: int, record: Any) -> str:
    number = record.get("id") if isinstance(record, dict) else None
    return f"{kind} {number}" if isinstance(number, int) else f"{kind} record {index} (counted from 0)"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
        return None
    return "no 64-bit integer"


def _side(value: Any) -> str | None:
    return None if _integer(value) is None and 1 <= value < 2**31 else "no number of pixels"


def _name(value: Any) -> str | None:
    return text_problem(value) if isinstance(value, str) else "no name"


def _file_name(value: Any) -> str | None:
    return name_problem(value) if isinstance(value, str) else "no name"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
