"""The annotations of a COCO file as flat arrays, filled from decoded records or straight from the bytes of the file."""

from __future__ import annotations

import mmap
from array import array
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aeret.data.json_batches import Irregular, forget
from aeret.data.rle import encode_runs
from aeret.data.rules import RULES
from aeret.errors import DataError

if TYPE_CHECKING:
    from aeret.data.annotation_scan import Room

NO_MASK, POLYGONS, RLE = 0, 1, 2
"""What a segmentation is."""

Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]

_NAN = float("nan")
_NO_BOX = (_NAN, _NAN, _NAN, _NAN)
_NUMBER = msgspec.json.Decoder(float)
_LARGEST = 1e30
_WINDOW = 1 << 19
"""bytes of the file that are scanned at once: their columns stay in the processor's cache"""


class Mask(msgspec.Struct, gc=False):
    """A run-length mask as the file gives it."""

    size: tuple[Side, Side]
    counts: str | list[Id]


class Annotation(msgspec.Struct, gc=False):
    """One record of ``annotations``; its other keys are not read."""

    id: Id
    image_id: Id
    category_id: Id
    bbox: tuple[float, float, float, float] = _NO_BOX
    area: float = _NAN
    iscrowd: Annotated[int, msgspec.Meta(ge=0, le=1)] | bool = 0
    segmentation: list[list[float]] | Mask | None = None


def refusal(path: Path, rule: str, problem: str, count: int = 1) -> DataError:
    """Return the error for a broken rule of :mod:`aeret.data.rules`: where, what, and how to mend it."""
    more = f" (and {count - 1} more like it)" if count > 1 else ""
    return DataError(
        f"{path}: {problem}{more} [{rule}]. To mend: {RULES[rule].mend}. "
        "`aeret data check MANIFEST` lists every problem at once."
    )


_SCANNED: dict[str, type[np.generic]] = {
    "ids": np.int64,
    "photos": np.int64,
    "categories": np.int64,
    "crowd": np.int8,
    "kind": np.uint8,
    "parts": np.int64,
    "rle_lengths": np.int64,
    "rle_sizes": np.int32,
    "area": np.float64,
    "boxes": np.float32,
    "lengths": np.int64,
    "points": np.float64,
    "rle_text": np.uint8,
}
"""The columns that are scanned, in the order of :func:`_scanned`."""


class _Column:
    """A flat array that grows. Room that it has but does not use is never touched, and so takes no memory."""

    def __init__(self, name: str) -> None:
        self._values = np.empty(0, _SCANNED[name])
        self._used = 0

    def extend(self, values: NDArray[Any], left: float) -> None:
        """Append values; about ``left`` times as many as there are then will follow."""
        end = self._used + len(values)
        if end > len(self._values):
            values_before = self.array()
            self._values = np.empty(int(end * (1.3 * left + 1.3)) + 16, self._values.dtype)
            self._values[: self._used] = values_before
        self._values[self._used : end] = values
        self._used = end

    def array(self) -> NDArray[Any]:
        """Return what was appended."""
        return self._values[: self._used]


def _scanned(room: Room, text: mmap.mmap) -> list[NDArray[Any]]:
    """Return what was scanned, by column; finish the numbers that the kernel left."""
    from aeret.data import annotation_scan as scanner

    rows, lengths, points, characters, mends = room.used.tolist()
    targets: dict[int, NDArray[Any]] = {
        scanner.OF_AREA: room.areas,
        scanner.OF_BOX: room.boxes.reshape(-1),
        scanner.OF_POINTS: room.points,
    }
    for owner, place, start, stop in room.mends[:mends].tolist():
        value = _NUMBER.decode(text[start:stop])
        if abs(value) > _LARGEST:
            raise Irregular
        targets[owner][place] = value
    whole = room.whole[:rows]
    sizes = whole[whole[:, scanner.KIND] == RLE][:, [scanner.HEIGHT, scanner.WIDTH]]
    return [
        whole[:, scanner.ID],
        whole[:, scanner.PHOTO],
        whole[:, scanner.CATEGORY],
        whole[:, scanner.CROWD],
        whole[:, scanner.KIND],
        whole[:, scanner.PARTS],
        whole[:, scanner.TEXT],
        sizes.reshape(-1),
        room.areas[:rows],
        room.boxes[:rows].reshape(-1),
        room.lengths[:lengths],
        room.points[:points],
        room.runs[:characters],
    ]


class AnnotationColumns:
    """Flat arrays that annotations are appended to, a batch at a time."""

    def __init__(self) -> None:
        # A scan puts NumPy's in their place.
        self._ids, self._photos, self._categories = array("q"), array("q"), array("q")
        self._crowd, self._kind = array("b"), array("B")
        self._area, self._boxes, self._points = array("d"), array("f"), array("d")
        self._parts, self._lengths = array("q"), array("q")
        self._rle_text = bytearray()
        self._rle_lengths, self._rle_sizes = array("q"), array("i")

    def ids(self) -> NDArray[np.int64]:
        """Return the annotation ids, int64 (a)."""
        return np.frombuffer(self._ids, np.int64)

    def add(self, batch: list[Annotation]) -> None:
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
            elif type(mask) is Mask:
                kinds[row] = RLE
                self._rle_sizes.extend(mask.size)
                texts[row] = _text(mask.counts)
        self._kind.fromlist(kinds)
        self._rle_lengths.fromlist(list(map(len, texts)))
        self._rle_text += b"".join(texts)

    def scan(self, text: mmap.mmap, at: int) -> int:
        """Take the annotations of a list, all there are, without decoding records; return the place behind the list.

        Args:
            text: the file.
            at: where the first record is.

        Raises:
            Irregular: something is not as the scanner expects it.
            msgspec.DecodeError: a number is out of range.
        """
        from aeret.data import annotation_scan as scanner

        view = np.frombuffer(text, np.uint8)  # holds the memory
        characters = (view.ctypes.data, len(view))
        room, how = scanner.make_room(_WINDOW), scanner.MORE
        first, columns = at, [_Column(column) for column in _SCANNED]
        while how != scanner.END:
            how, end = scanner.scan_annotations(characters, at, at + _WINDOW, *room)
            if how == scanner.IRREGULAR:
                raise Irregular
            if how == scanner.FULL:  # of one long record
                room = scanner.make_room(2 * len(room.runs))
                continue
            if room.wide[0]:
                room.wide[0] = False
                _demand_utf8(text[at:end])
            left = (len(text) - end) / (end - first)
            for column, values in zip(columns, _scanned(room, text), strict=True):
                column.extend(values, left)
            forget(text, at, end)
            at = end
        for name, column in zip(_SCANNED, columns, strict=True):
            setattr(self, f"_{name}", column.array())
        return at

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
    rows = _places(known, asked)
    bad = np.flatnonzero(rows < 0)
    if len(bad):
        raise refusal(path, rule, f"annotation {ids[bad[0]]}: there is no {key} {asked[bad[0]]}", len(bad))
    return rows


def _places(known: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the place of each asked number among the known ones, which differ, or -1: int32."""
    if not len(known):
        return np.full(len(asked), -1, np.int32)
    low, high = int(known.min()), int(known.max())
    if high - low <= 8 * (len(known) + len(asked)):
        # A table is ten times as fast as a binary search, which misses the cache at every step.
        table = np.full(high - low + 2, -1, np.int32)
        table[known - low] = np.arange(len(known), dtype=np.int32)
        return table[np.where((asked < low) | (asked > high), high - low + 1, asked - low)]
    order = np.argsort(known, kind="stable")
    found = order[np.minimum(np.searchsorted(known, asked, sorter=order), len(known) - 1)]
    return np.where(known[found] == asked, found, -1).astype(np.int32)


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
            raise refusal(path, rule, f"annotation {ids[bad[0]]}: {problem}", len(bad))


def _demand_utf8(text: bytes) -> None:
    try:
        text.decode()
    except UnicodeDecodeError:
        raise Irregular from None
