"""Read a COCO annotation file into columns, in one pass and with bounded memory.

msgspec decodes the records, some hundred at a time, straight into typed structs, and their numbers move on into flat
arrays at once: beside the columns, one batch is in memory, and of the memory-mapped file what the system has room for.
The file may give its sections in any order.
"""

from __future__ import annotations

import gc
import mmap
import re
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aeret.data.json_batches import RECORDS, Irregular, guess, sure
from aeret.data.rle import encode_runs
from aeret.data.rules import RULES, name_problem
from aeret.errors import DataError

NO_MASK, POLYGONS, RLE = 0, 1, 2
"""What a segmentation is."""

_NAN = float("nan")
_NO_BOX = (_NAN, _NAN, _NAN, _NAN)


_Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Side = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
_Name = Annotated[str, msgspec.Meta(min_length=1)]


class _Photo(msgspec.Struct, gc=False):
    id: _Id
    file_name: _Name
    width: _Side
    height: _Side


class _Category(msgspec.Struct, gc=False):
    id: _Id
    name: _Name
    supercategory: str | None = None


class _Mask(msgspec.Struct, gc=False):
    size: tuple[_Side, _Side]
    counts: str | list[_Id]


class _Annotation(msgspec.Struct, gc=False):
    id: _Id
    image_id: _Id
    category_id: _Id
    bbox: tuple[float, float, float, float] = _NO_BOX
    area: float = _NAN
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] | bool = 0
    segmentation: list[list[float]] | _Mask | None = None


_PHOTOS = msgspec.json.Decoder(list[_Photo])
_CATEGORIES = msgspec.json.Decoder(list[_Category])
_ANNOTATIONS = msgspec.json.Decoder(list[_Annotation])
_KINDS: dict[str, type[msgspec.Struct]] = {"images": _Photo, "annotations": _Annotation, "categories": _Category}
_BOOLEAN = re.compile(rb":\s*(?:true|false)\b")


def read_columns(path: Path) -> dict[str, Any]:
    """Return the fields of a :class:`aeret.data.collection.Collection`; DataError where the file breaks a rule."""
    if not path.is_file():
        raise DataError(f"{path} is no file; expected a COCO annotation file (JSON). Correct the path in the manifest.")
    if path.stat().st_size == 0:
        raise _refusal(path, "truncated-json", "the file is empty")
    with _no_collector(), path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
        try:
            records = _gather(guess(text))
        except (Irregular, msgspec.DecodeError):
            # Not a file as most write it, or a broken one: this way is slower, and its errors are to the point.
            text.seek(0)
            records = _gather_surely(path, text.read())
    columns = _join(path, records)
    _demand_sound(path, columns)
    return columns


class _FileName(msgspec.Struct, gc=False):
    file_name: str


class _FileNames(msgspec.Struct):
    images: list[_FileName]


def read_file_names(path: Path) -> list[str]:
    """Return the names of the photos of a file, as paths below the photo folder.

    None where the file is no sound annotation file, and none that leads out of the folder: reading it whole tells why.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
            images = msgspec.json.decode(text, type=_FileNames).images
    except (OSError, ValueError):  # also of an empty file, and of msgspec
        return []
    return [image.file_name for image in images if name_problem(image.file_name) is None]


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
        "`aeret data check MANIFEST` lists every problem at once."
    )


class _Records:
    """What has been read so far."""

    def __init__(self) -> None:
        self.photos: list[_Photo] = []
        self.categories: list[_Category] = []
        self.annotations = _AnnotationColumns()
        self.flags: dict[str, list[int]] = {}
        """boolean key of image records -> rows where it is true"""

    def add(self, section: str, batch: bytes) -> None:
        """Append a JSON array of records."""
        if section == "annotations":
            self.annotations.add(_ANNOTATIONS.decode(batch))
        elif section == "categories":
            self.categories += _CATEGORIES.decode(batch)
        else:
            first = len(self.photos)
            self.photos += _PHOTOS.decode(batch)
            if _BOOLEAN.search(batch):
                for row, record in enumerate(msgspec.json.decode(batch), first):
                    for key, value in record.items():
                        if isinstance(value, bool):
                            self.flags.setdefault(key, []).extend([row] * value)


def _gather(batches: Iterator[tuple[str, bytes]]) -> _Records:
    records = _Records()
    for section, batch in batches:
        records.add(section, batch)
    return records


def _gather_surely(path: Path, text: bytes) -> _Records:
    """Read any JSON text; raise DataError naming the first record that does not fit."""
    records, done = _Records(), Counter[str]()
    try:
        for section, batch in sure(text):
            try:
                records.add(section, batch)
            except msgspec.ValidationError:
                _refuse_first(path, section, msgspec.json.decode(batch, type=list[msgspec.Raw]), done[section])
                raise
            done[section] += RECORDS
    except msgspec.ValidationError as error:
        raise _refusal(path, "missing-section", str(error)) from None
    except msgspec.DecodeError as error:
        raise _refusal(path, "truncated-json", str(error)) from None
    return records


def _refuse_first(path: Path, section: str, records: list[msgspec.Raw], done: int) -> None:
    """Name the first of the records that cannot be decoded."""
    for index, record in enumerate(records, done):
        try:
            msgspec.json.decode(record, type=_KINDS[section])
        except msgspec.ValidationError as error:
            rule = "missing-key" if "missing required field" in str(error) else "bad-value"
            raise _refusal(path, rule, f"{section}[{index}]: {error}: {bytes(record)[:120]!r}") from None


def _join(path: Path, records: _Records) -> dict[str, Any]:
    """Return the fields of a ``Collection``, ids turned to rows."""
    photos, categories = records.photos, records.categories
    photo_ids = np.array([photo.id for photo in photos], np.int64)
    category_ids = np.array([category.id for category in categories], np.int64)
    annotation_ids = records.annotations.ids()
    for kind, ids in (("image", photo_ids), ("category", category_ids), ("annotation", annotation_ids)):
        _demand_unique(path, kind, ids)
    flags = {key: np.zeros(len(photos), np.bool_) for key in records.flags}
    for key, rows in records.flags.items():
        flags[key][rows] = True
    return {
        "photo_ids": photo_ids,
        "file_names": [photo.file_name for photo in photos],
        "heights": np.array([photo.height for photo in photos], np.int32),
        "widths": np.array([photo.width for photo in photos], np.int32),
        "category_ids": category_ids,
        "category_names": tuple(category.name for category in categories),
        "supercategories": tuple(category.supercategory or category.name for category in categories),
        "photo_flags": flags,
        **records.annotations.arrays(path, photo_ids, category_ids),
    }


class _AnnotationColumns:
    """Flat arrays that annotations are appended to, a batch at a time."""

    def __init__(self) -> None:
        self._ids, self._photos, self._categories = array("q"), array("q"), array("q")
        self._crowd, self._kind = array("b"), array("B")
        self._area, self._boxes, self._points = array("d"), array("f"), array("d")
        self._parts, self._lengths = array("q"), array("q")
        self._rle_text = bytearray()
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
        masks = [annotation.segmentation for annotation in batch]
        polygons = [mask if type(mask) is list else () for mask in masks]
        parts = list(chain.from_iterable(polygons))
        self._parts.fromlist(list(map(len, polygons)))
        self._lengths.fromlist(list(map(len, parts)))
        for part in parts:
            self._points.fromlist(part)
        texts = [b""] * len(batch)
        kinds = [POLYGONS] * len(batch)
        for row, mask in enumerate(masks):
            if mask is None:
                kinds[row] = NO_MASK
            elif type(mask) is _Mask:
                kinds[row] = RLE
                self._rle_sizes.extend(mask.size)
                texts[row] = _text(mask.counts)
        self._kind.fromlist(kinds)
        self._rle_lengths.fromlist(list(map(len, texts)))
        self._rle_text += b"".join(texts)

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
            "rle_text": np.frombuffer(self._rle_text, np.uint8),
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
    for number, name in zip(columns["photo_ids"], columns["file_names"], strict=True):
        if problem := name_problem(name):
            raise _refusal(path, "bad-value", f"image {number}: file_name is {name!r}, {problem}")
    heights, widths = columns["heights"], columns["widths"]
    photo = columns["annotation_photo"]
    sizes = np.stack((heights[photo], widths[photo]), axis=1)
    bad = np.flatnonzero((columns["kind"] == RLE) & (columns["rle_sizes"] != sizes).any(axis=1))
    if len(bad):
        given, wanted = columns["rle_sizes"][bad[0]].tolist(), sizes[bad[0]].tolist()
        problem = (
            f"annotation {columns['annotation_ids'][bad[0]]}: its mask is {given}, its photo {wanted} (height, width)"
        )
        raise _refusal(path, "bad-rle", problem, len(bad))
