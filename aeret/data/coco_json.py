"""Read a COCO annotation file into columns, in one pass and with bounded memory.

msgspec decodes the records, a thousand at a time, straight into typed structs and their numbers move on into flat arrays at
once, so that beside the columns never more than the text of the file and one such batch is in memory. The file may give its
sections in any order.
"""

from __future__ import annotations

import gc
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from aeret.data.rle import encode_runs
from aeret.data.rules import RULES
from aeret.errors import DataError

NO_MASK, POLYGONS, RLE = 0, 1, 2
"""What a segmentation is."""

_BATCH = 1024
_NAN = float("nan")
_NO_BOX = (_NAN, _NAN, _NAN, _NAN)


class _Photo(msgspec.Struct, gc=False):
    id: int
    file_name: str
    width: int
    height: int


class _Category(msgspec.Struct, gc=False):
    id: int
    name: str
    supercategory: str | None = None


class _Mask(msgspec.Struct, gc=False):
    size: tuple[int, int]
    counts: str | list[int]


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float] = _NO_BOX
    area: float = _NAN
    iscrowd: int | bool = 0
    segmentation: list[list[float]] | _Mask | None = None


class _File(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw]


_T = TypeVar("_T")
_FILE = msgspec.json.Decoder(_File)
_BOOLEAN = re.compile(rb":\s*(?:true|false)\b")


def read_columns(path: Path) -> dict[str, Any]:
    """Return the fields of a :class:`aeret.data.collection.Collection`; raise DataError where the file breaks a rule."""
    if not path.is_file():
        raise DataError(f"{path} is no file; expected a COCO annotation file (JSON). Correct the path in the manifest.")
    with _no_collector():
        columns = _read(path, path.read_bytes())
    _demand_sound(path, columns)
    return columns


@contextmanager
def _no_collector() -> Iterator[None]:
    """Hold Python's cycle collector: records have no cycles, and searching a million of them for some takes seconds."""
    held = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if held:
            gc.enable()


def _refusal(path: Path, rule: str, problem: str, count: int = 1) -> DataError:
    more = f" (and {count - 1} more like it)" if count > 1 else ""
    return DataError(
        f"{path}: {problem}{more} [{rule}]. To mend: {RULES[rule].mend}. "
        f"`aeret data check --annotations {path}` lists every problem at once."
    )


def _read(path: Path, text: bytes) -> dict[str, Any]:
    try:
        file = _FILE.decode(text)
    except msgspec.ValidationError as error:
        raise _refusal(path, "missing-section", str(error)) from None
    except msgspec.DecodeError as error:
        raise _refusal(path, "truncated-json", str(error)) from None
    photos = [photo for batch in _batches(path, "images", file.images, _Photo) for photo in batch]
    categories = [category for batch in _batches(path, "categories", file.categories, _Category) for category in batch]
    columns = _AnnotationColumns()
    for batch in _batches(path, "annotations", file.annotations, _Annotation):
        columns.add(batch)
    photo_ids = np.array([photo.id for photo in photos], np.int64)
    category_ids = np.array([category.id for category in categories], np.int64)
    for kind, ids in (("image", photo_ids), ("category", category_ids), ("annotation", columns.ids())):
        _demand_unique(path, kind, ids)
    return {
        "photo_ids": photo_ids,
        "file_names": [photo.file_name for photo in photos],
        "heights": np.array([photo.height for photo in photos], np.int32),
        "widths": np.array([photo.width for photo in photos], np.int32),
        "category_ids": category_ids,
        "category_names": tuple(category.name for category in categories),
        "supercategories": tuple(category.supercategory or category.name for category in categories),
        "photo_flags": _flags(file.images),
        **columns.arrays(path, photo_ids, category_ids),
    }


def _batches(path: Path, section: str, records: list[msgspec.Raw], kind: type[_T]) -> Iterator[list[_T]]:
    """Decode the records a batch at a time; where a batch fails, name the record that does."""
    many, one = msgspec.json.Decoder(list[kind]), msgspec.json.Decoder(kind)  # type: ignore[valid-type]
    for start in range(0, len(records), _BATCH):
        batch = records[start : start + _BATCH]
        try:
            yield many.decode(b"[" + b",".join(batch) + b"]")
        except msgspec.ValidationError:
            for index, record in enumerate(batch, start):
                try:
                    one.decode(record)
                except msgspec.ValidationError as error:
                    rule = "missing-key" if "missing required field" in str(error) else "bad-value"
                    raise _refusal(path, rule, f"{section}[{index}]: {error}: {bytes(record)[:120]!r}") from None
            raise


def _flags(records: list[msgspec.Raw]) -> dict[str, NDArray[np.bool_]]:
    """Return every boolean key of the image records as a column."""
    flags: dict[str, NDArray[np.bool_]] = {}
    for row, record in enumerate(records):
        if _BOOLEAN.search(record):
            for key, value in msgspec.json.decode(record).items():
                if isinstance(value, bool):
                    flags.setdefault(key, np.zeros(len(records), np.bool_))[row] = value
    return flags


class _AnnotationColumns:
    """Flat arrays that annotations are appended to, a batch at a time."""

    def __init__(self) -> None:
        self._ids, self._photos, self._categories = array("q"), array("q"), array("q")
        self._crowd, self._kind = array("b"), array("B")
        self._area, self._boxes, self._points = array("d"), array("f"), array("d")
        self._parts, self._lengths = array("q"), array("q")
        self._rle: list[NDArray[np.uint8]] = []
        self._rle_lengths, self._rle_sizes = array("q"), array("i")

    def ids(self) -> NDArray[np.int64]:
        """Return the annotation ids, int64 (a)."""
        return np.frombuffer(self._ids, np.int64)

    def add(self, batch: list[_Annotation]) -> None:
        """Append one batch."""
        self._ids.fromlist([annotation.id for annotation in batch])
        self._photos.fromlist([annotation.image_id for annotation in batch])
        self._categories.fromlist([annotation.category_id for annotation in batch])
        self._crowd.fromlist([annotation.iscrowd for annotation in batch])
        self._area.fromlist([annotation.area for annotation in batch])
        self._boxes.fromlist([number for annotation in batch for number in annotation.bbox])
        points, lengths = self._points, self._lengths
        kinds, parts, texts = [], [], []
        for annotation in batch:
            mask = annotation.segmentation
            text = b""
            if mask is None:
                kinds.append(NO_MASK)
                parts.append(0)
            elif isinstance(mask, list):
                kinds.append(POLYGONS)
                parts.append(len(mask))
                for part in mask:
                    points.fromlist(part)
                    lengths.append(len(part))
            else:
                kinds.append(RLE)
                parts.append(0)
                self._rle_sizes.extend(mask.size)
                text = _text(mask.counts)
            texts.append(text)
        self._kind.fromlist(kinds)
        self._parts.fromlist(parts)
        self._rle_lengths.fromlist(list(map(len, texts)))
        self._rle.append(np.frombuffer(b"".join(texts), np.uint8))

    def arrays(self, path: Path, photo_ids: NDArray[np.int64], category_ids: NDArray[np.int64]) -> dict[str, Any]:
        """Return the fields of a ``Collection`` that hold annotations, ids turned to rows."""
        ids = self.ids()
        kind = np.frombuffer(self._kind, np.uint8)
        lengths = np.frombuffer(self._lengths, np.int64)
        parts = np.frombuffer(self._parts, np.int64)
        _demand_parts(path, ids, kind, parts, lengths)
        sizes = np.zeros((len(ids), 2), np.int32)
        sizes[kind == RLE] = np.frombuffer(self._rle_sizes, np.int32).reshape(-1, 2)
        return {
            "annotation_ids": ids,
            "annotation_photo": _rows(path, "unknown-photo", "image_id", ids, self._photos, photo_ids),
            "annotation_category": _rows(path, "unknown-category", "category_id", ids, self._categories, category_ids),
            "crowd": np.frombuffer(self._crowd, np.int8) != 0,
            "area": np.frombuffer(self._area, np.float64),
            "boxes": np.frombuffer(self._boxes, np.float32).reshape(-1, 4),
            "kind": kind,
            "part_offsets": _offsets(parts),
            "point_offsets": _offsets(lengths // 2),
            "points": np.frombuffer(self._points, np.float64).reshape(-1, 2),
            "rle_offsets": _offsets(np.frombuffer(self._rle_lengths, np.int64)),
            "rle_text": np.concatenate([*self._rle, np.zeros(0, np.uint8)]),
            "rle_sizes": sizes,
        }


def _text(counts: str | list[int]) -> bytes:
    """Return the compressed string of an RLE given either way."""
    if isinstance(counts, str):
        return counts.encode()
    return encode_runs(np.array([0, len(counts)]), np.array(counts, np.int64))[1].tobytes()


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))


def _rows(
    path: Path, rule: str, key: str, ids: NDArray[np.int64], wanted: array[int], known: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Return the row in ``known`` of each wanted id."""
    asked = np.frombuffer(wanted, np.int64)
    order = np.argsort(known, kind="stable")
    rows = (
        order[np.minimum(np.searchsorted(known, asked, sorter=order), len(known) - 1)] if len(known) else asked * 0 - 1
    )
    bad = np.flatnonzero(known[rows] != asked) if len(known) else np.arange(len(asked))
    if len(bad):
        raise _refusal(path, rule, f"annotation {ids[bad[0]]}: there is no {key} {asked[bad[0]]}", len(bad))
    return rows.astype(np.int32)


def _demand_unique(path: Path, kind: str, ids: NDArray[np.int64]) -> None:
    order = np.sort(ids)
    twice = order[1:][order[1:] == order[:-1]]
    if len(twice):
        raise _refusal(path, "duplicate-id", f"{kind} {twice[0]} is there twice", len(twice))


def _demand_parts(
    path: Path, ids: NDArray[np.int64], kind: NDArray[np.uint8], parts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> None:
    """Refuse polygons that are no polygons."""
    owner = np.repeat(np.arange(len(ids)), parts)
    none = np.flatnonzero((kind == POLYGONS) & (parts == 0))
    for rule, bad, problem in (
        ("empty-polygon", none, "its segmentation has no part"),
        ("empty-polygon", owner[lengths == 0], "a part of its polygon has no coordinate"),
        ("odd-polygon", owner[lengths % 2 == 1], "a part of its polygon has an odd number of coordinates"),
        ("degenerate-polygon", owner[lengths < 6], "a part of its polygon has fewer than three points"),
    ):
        if len(bad):
            raise _refusal(path, rule, f"annotation {ids[bad[0]]}: {problem}", len(bad))


def _demand_sound(path: Path, columns: dict[str, Any]) -> None:
    """Refuse what can only be seen with photos and annotations joined."""
    for name, count in Counter(columns["file_names"]).most_common(1):
        if count > 1:
            raise _refusal(path, "duplicate-file", f"file_name {name!r} is in {count} records")
    heights, widths = columns["heights"], columns["widths"]
    bad = np.flatnonzero((heights < 1) | (widths < 1))
    if len(bad):
        raise _refusal(path, "bad-value", f"image {columns['photo_ids'][bad[0]]}: width or height is below 1", len(bad))
    photo = columns["annotation_photo"]
    sizes = np.stack((heights[photo], widths[photo]), axis=1)
    bad = np.flatnonzero((columns["kind"] == RLE) & (columns["rle_sizes"] != sizes).any(axis=1))
    if len(bad):
        given, wanted = columns["rle_sizes"][bad[0]].tolist(), sizes[bad[0]].tolist()
        problem = (
            f"annotation {columns['annotation_ids'][bad[0]]}: its mask is {given}, its photo {wanted} (height, width)"
        )
        raise _refusal(path, "bad-rle", problem, len(bad))
