"""Join the records of a COCO file into columns and check what only the whole shows."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.data.rle import decode_strings, encode_runs
from aeret.data.rules import Problem

NO_MASK, POLYGONS, RLE = 0, 1, 2
"""What a segmentation is."""

Columns = dict[str, Any]
"""Fields of a :class:`aeret.data.collection.Collection`."""
_RLE_AT_ONCE = 256
_ROUNDING = 0.01  # pixels that a polygon may lie over the border


class AnnotationColumns:
    """Flat arrays that grow by batches of decoded annotations."""

    def __init__(self) -> None:
        self.ids, self.photos, self.categories = array("q"), array("q"), array("q")
        self.crowd, self.kind = array("b"), array("B")
        self.area, self.boxes, self.points = array("d"), array("f"), array("d")
        self.parts, self.lengths = array("q"), array("q")
        self.rle_text = bytearray()
        self.rle_lengths, self.rle_sizes = array("q"), array("i")

    def add(self, batch: Sequence[Any]) -> None:
        """Append :class:`aeret.data.coco.AnnotationRecord` structs."""
        self.ids.extend(record.id for record in batch)
        self.photos.extend(record.image_id for record in batch)
        self.categories.extend(record.category_id for record in batch)
        self.crowd.extend(record.iscrowd for record in batch)
        self.area.extend(record.area for record in batch)
        self.boxes.extend(number for record in batch for number in record.bbox)
        masks = [record.segmentation for record in batch]
        polygons = [mask if type(mask) is list else () for mask in masks]
        parts = list(chain.from_iterable(polygons))
        self.parts.extend(map(len, polygons))
        self.lengths.extend(map(len, parts))
        self.points.extend(chain.from_iterable(parts))
        for mask in masks:
            text = b""
            if mask is None or type(mask) is list:
                self.kind.append(NO_MASK if mask is None else POLYGONS)
            else:
                self.kind.append(RLE)
                self.rle_sizes.extend(mask.size)
                text = _rle_text(mask.counts)
            self.rle_lengths.append(len(text))
            self.rle_text += text


def columns_of(
    photos: Sequence[Any], categories: Sequence[Any], flags: dict[str, list[int]], annotations: AnnotationColumns
) -> Columns:
    """Return the columns of a collection; ids of photos and categories become rows, or -1 if they are unknown.

    Args:
        photos: ``PhotoRecord`` structs.
        categories: ``CategoryRecord`` structs.
        flags: boolean key to the rows of photos where it is true.
        annotations: all annotations.
    """
    kind = np.frombuffer(annotations.kind, np.uint8)
    sizes = np.zeros((len(kind), 2), np.int32)
    sizes[kind == RLE] = np.frombuffer(annotations.rle_sizes, np.int32).reshape(-1, 2)
    photo_ids = np.array([photo.id for photo in photos], np.int64)
    category_ids = np.array([category.id for category in categories], np.int64)
    lengths = np.frombuffer(annotations.lengths, np.int64)
    points = np.frombuffer(annotations.points, np.float64)
    return {
        "photo_ids": photo_ids,
        "file_names": [photo.file_name for photo in photos],
        "heights": np.array([photo.height for photo in photos], np.int32),
        "widths": np.array([photo.width for photo in photos], np.int32),
        "category_ids": category_ids,
        "category_names": tuple(category.name for category in categories),
        "supercategories": tuple(category.supercategory or category.name for category in categories),
        "photo_flags": {key: np.isin(np.arange(len(photos)), rows) for key, rows in flags.items()},
        "annotation_ids": np.frombuffer(annotations.ids, np.int64),
        "annotation_photo": _rows(photo_ids, np.frombuffer(annotations.photos, np.int64)),
        "annotation_category": _rows(category_ids, np.frombuffer(annotations.categories, np.int64)),
        "crowd": np.frombuffer(annotations.crowd, np.int8) != 0,
        "area": np.frombuffer(annotations.area, np.float64),
        "boxes": np.frombuffer(annotations.boxes, np.float32).reshape(-1, 4),
        "kind": kind,
        "part_offsets": _offsets(np.frombuffer(annotations.parts, np.int64)),
        "point_offsets": _offsets(lengths // 2),
        # A part with an odd number of coordinates is an error, so these points are then never used.
        "points": points[: len(points) // 2 * 2].reshape(-1, 2),
        "rle_offsets": _offsets(np.frombuffer(annotations.rle_lengths, np.int64)),
        "rle_text": np.frombuffer(annotations.rle_text, np.uint8),
        "rle_sizes": sizes,
    }


def joined_problems(
    columns: Columns, annotations: AnnotationColumns, photos: Iterable[int], categories: Iterable[int]
) -> list[Problem]:
    """Return what is wrong with records that are each sound by themselves.

    Args:
        columns: as :func:`columns_of` returns them.
        annotations: the arrays that they come from.
        photos: ids of all image records, those of broken records too.
        categories: ids of all category records, likewise.
    """
    found = [*_repeated("image", photos), *_repeated("category", categories)]
    found += _repeated("annotation", columns["annotation_ids"])
    checks = (
        _unknown("photo", "image", annotations.photos, photos),
        _unknown("category", "category", annotations.categories, categories),
        _wrong_parts(columns, annotations),
        _wrong_runs(columns),
    )
    rows = sorted((each for check in checks for each in check), key=lambda each: each[0])
    ids = columns["annotation_ids"]
    return found + [Problem(rule, f"annotation {ids[row]}", text) for row, rule, text in rows]


def _rle_text(counts: str | list[int]) -> bytes:
    """Return the compressed string of an RLE that is given as a string or as runs."""
    if isinstance(counts, str):
        return counts.encode()
    return encode_runs(np.array([0, len(counts)]), np.array(counts, np.int64))[1].tobytes()


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))


def _rows(known: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the row of each asked id among the known ones, int32 (a,), or -1."""
    if not len(known):
        return np.full(len(asked), -1, np.int32)
    order = np.argsort(known, kind="stable")
    found = order[np.minimum(np.searchsorted(known, asked, sorter=order), len(known) - 1)]
    return np.where(known[found] == asked, found, -1).astype(np.int32)


_Found = tuple[int, str, str]
"""Row of an annotation, rule, and what is wrong."""


def _repeated(kind: str, ids: Iterable[int]) -> list[Problem]:
    values, counts = np.unique(np.array([*ids], np.int64), return_counts=True)
    return [
        Problem("duplicate-id", f"{kind} {number}", f"{count} {kind} records have this id")
        for number, count in zip(values[counts > 1].tolist(), counts[counts > 1].tolist(), strict=True)
    ]


def _unknown(name: str, kind: str, asked: array[int], known: Iterable[int]) -> Iterator[_Found]:
    wanted = np.frombuffer(asked, np.int64)
    for row in np.flatnonzero(~np.isin(wanted, np.array([*known], np.int64))).tolist():
        yield row, f"unknown-{name}", f"there is no {kind} {wanted[row]}"


def _wrong_parts(columns: Columns, annotations: AnnotationColumns) -> Iterator[_Found]:
    lengths = np.frombuffer(annotations.lengths, np.int64)
    first = columns["part_offsets"]
    owner = np.repeat(np.arange(len(first) - 1), np.diff(first))
    for row in np.flatnonzero((columns["kind"] == POLYGONS) & (np.diff(first) == 0)).tolist():
        yield row, "empty-polygon", "its segmentation has no part"
    for part in np.flatnonzero((lengths < 6) | (lengths % 2 == 1)).tolist():
        row, count = int(owner[part]), int(lengths[part])
        where = f"part {part - first[row]} of its polygon"
        if count == 0:
            yield row, "empty-polygon", f"{where} has no coordinate"
        elif count % 2:
            yield row, "odd-polygon", f"{where} has {count} coordinates, an odd number"
        else:
            yield row, "degenerate-polygon", f"{where} has {count // 2} points, fewer than three"


def _wrong_runs(columns: Columns) -> Iterator[_Found]:
    text, offsets, sizes = columns["rle_text"], columns["rle_offsets"], columns["rle_sizes"].astype(np.int64)
    photo = columns["annotation_photo"]
    rows = np.flatnonzero(columns["kind"] == RLE)
    sides = np.stack([columns["heights"], columns["widths"]], axis=1).astype(np.int64)
    placed = rows[photo[rows] >= 0]
    for row in placed[(sides[photo[placed]] != sizes[placed]).any(axis=1)].tolist():
        given = f"size {sizes[row].tolist()}, its photo {sides[photo[row]].tolist()} (height, width)"
        yield row, "bad-rle", f"its RLE has {given}"
    pixels = sizes.prod(axis=1)
    for start in range(0, len(rows), _RLE_AT_ONCE):
        some = rows[start : start + _RLE_AT_ONCE]
        ends, runs = decode_strings([text[offsets[row] : offsets[row + 1]].tobytes() for row in some.tolist()])
        sums = np.diff(np.concatenate(([0], np.cumsum(runs)))[ends])
        negative = np.diff(np.concatenate(([0], np.cumsum(runs < 0)))[ends]) > 0
        letters = text[offsets[some[0]] : offsets[some[-1] + 1]]
        strange = bool(((letters < ord("0")) | (letters > ord("o"))).any())
        for place in np.flatnonzero(negative | (sums != pixels[some]) | strange).tolist():
            row = int(some[place])
            own = text[offsets[row] : offsets[row + 1]]
            if ((own < ord("0")) | (own > ord("o"))).any():
                yield row, "bad-rle", "its RLE string has characters that no RLE has"
            elif negative[place] or sums[place] != pixels[row]:
                size = f"its size {sizes[row].tolist()} has {pixels[row]} pixels"
                yield row, "bad-rle", f"the runs of its RLE sum to {sums[place]}, {size}"


def warnings(columns: Columns) -> list[Problem]:
    """Return what is odd about a sound file and handled by a stated rule."""
    found: list[Problem] = []
    first: dict[str, int] = {}
    for number, name in zip(columns["category_ids"].tolist(), columns["category_names"], strict=True):
        if name in first:
            text = f"name {name!r} is also that of category {first[name]}"
            found.append(Problem("duplicate-name", f"category {number}", text))
        first.setdefault(name, number)
    ids, kind = columns["annotation_ids"], columns["kind"]
    rows: list[_Found] = [
        (row, "no-segmentation", "has no segmentation") for row in np.flatnonzero(kind == NO_MASK).tolist()
    ]
    rows += _odd_polygons(columns)
    return found + [Problem(rule, f"annotation {ids[row]}", text) for row, rule, text in sorted(rows)]


def _odd_polygons(columns: Columns) -> Iterator[_Found]:
    parts, bounds, points = columns["part_offsets"], columns["point_offsets"], columns["points"]
    rows = np.flatnonzero(np.diff(parts) > 0)
    starts = bounds[parts[rows]]
    if not len(rows) or len(points) != bounds[-1] or (np.diff(bounds) < 3).any():
        return
    low, high = np.minimum.reduceat(points, starts), np.maximum.reduceat(points, starts)
    photo = columns["annotation_photo"][rows]
    sizes = np.stack([columns["widths"][photo], columns["heights"][photo]], axis=1)
    outside = ((low < -_ROUNDING) | (high > sizes + _ROUNDING)).any(axis=1) & (photo >= 0)
    for place in np.flatnonzero(outside).tolist():
        (x0, y0), (x1, y1), (width, height) = low[place], high[place], sizes[place]
        box = f"x {x0:g} to {x1:g}, y {y0:g} to {y1:g}"
        text = f"its polygon reaches {box} in a photo of {width} x {height} (width x height)"
        yield int(rows[place]), "outside-polygon", text
    following = np.arange(1, len(points) + 1)
    following[bounds[1:] - 1] = bounds[:-1]
    x, y = points[:, 0], points[:, 1]
    with np.errstate(over="ignore", invalid="ignore"):
        cross = x * y[following] - x[following] * y
        area = np.add.reduceat(np.abs(np.add.reduceat(cross, bounds[:-1])), parts[rows]) / 2
    for place in np.flatnonzero(area < 1).tolist():
        yield int(rows[place]), "tiny-polygon", f"its polygon covers {area[place]:.3g} square pixels"
