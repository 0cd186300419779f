"""Read a COCO annotation file into columns, in one pass and with bounded memory.

Photos and categories are decoded by msgspec, some hundred records at a time, straight into typed structs. Annotations,
nearly all of the file, are scanned into columns by a kernel (:mod:`aeret.data.annotation_scan`) that makes no object a
record. Where it meets anything it does not expect, or where loading its compiler would cost more than it saves, the
typed reader reads them too; that one is the reference, and says what is wrong with a file. Beside the columns, one
batch is in memory, and of the memory-mapped file the part that is being read. The file may give its sections in any
order.
"""

from __future__ import annotations

import gc
import mmap
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aeret.data.annotation_columns import RLE, Annotation, AnnotationColumns, Id, Side, refusal
from aeret.data.json_batches import RECORDS, Doubled, Irregular, guess, sure
from aeret.data.rules import name_problem
from aeret.errors import DataError

_LARGE = 32 << 20
"""bytes of a file from which on it pays to load numba and the kernel (a second, 130 MB), if nothing has yet"""

_SUSPECT = ("/", "\\", "..", "\0")
"""An ASCII name without any of these is one that :func:`name_problem` has nothing against."""

_Name = Annotated[str, msgspec.Meta(min_length=1)]


class _Photo(msgspec.Struct, gc=False):
    id: Id
    file_name: _Name
    width: Side
    height: Side


class _Category(msgspec.Struct, gc=False):
    id: Id
    name: _Name
    supercategory: str | None = None


_PHOTOS = msgspec.json.Decoder(list[_Photo])
_CATEGORIES = msgspec.json.Decoder(list[_Category])
_ANNOTATIONS = msgspec.json.Decoder(list[Annotation])
_KINDS: dict[str, type[msgspec.Struct]] = {"images": _Photo, "annotations": Annotation, "categories": _Category}
_BOOLEAN = re.compile(rb":\s*(?:true|false)\b")


def read_columns(path: Path, scan: bool | None = None) -> dict[str, Any]:
    """Return the fields of a :class:`aeret.data.collection.Collection`.

    Args:
        path: a COCO annotation file.
        scan: whether to try the kernel first; when not given, where that is faster. The result is the same.

    Raises:
        DataError: the file breaks a rule.
    """
    if not path.is_file():
        raise DataError(f"{path} is no file; expected a COCO annotation file (JSON). Correct the path in the manifest.")
    size = path.stat().st_size
    if size == 0:
        raise refusal(path, "truncated-json", "the file is empty")
    if scan is None:
        scan = size >= _LARGE or "numba" in sys.modules
    with _no_collector(), path.open("rb") as stream:
        # Not closed but let go: numba's compiler may hold the view of it in cycles.
        text = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        records = _gather(text, scan=True) if scan else None
        if records is None:
            records = _gather(text, scan=False)
        if records is None:
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


class _Records:
    """What has been read so far."""

    def __init__(self) -> None:
        self.photos: list[_Photo] = []
        self.categories: list[_Category] = []
        self.annotations = AnnotationColumns()
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


def _gather(text: mmap.mmap, scan: bool) -> _Records | None:
    """Read a file as most write it; None where it is not such a one, or is broken."""
    records = _Records()
    try:
        for section, batch in guess(
            text, {"annotations": lambda at: records.annotations.scan(text, at)} if scan else {}
        ):
            records.add(section, batch)
    except (Irregular, msgspec.DecodeError, UnicodeDecodeError):
        return None
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
    except Doubled as error:
        raise refusal(path, "duplicate-section", str(error)) from None
    except msgspec.ValidationError as error:
        raise refusal(path, "missing-section", str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise refusal(path, "truncated-json", str(error)) from None
    return records


def _refuse_first(path: Path, section: str, records: list[msgspec.Raw], done: int) -> None:
    """Name the first of the records that cannot be decoded."""
    for index, record in enumerate(records, done):
        try:
            msgspec.json.decode(record, type=_KINDS[section])
        except msgspec.ValidationError as error:
            rule = "missing-key" if "missing required field" in str(error) else "bad-value"
            raise refusal(path, rule, f"{section}[{index}]: {error}: {bytes(record)[:120]!r}") from None


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


def _demand_unique(path: Path, kind: str, ids: NDArray[np.int64]) -> None:
    order = np.sort(ids)
    twice = order[1:][order[1:] == order[:-1]]
    if len(twice):
        raise refusal(path, "duplicate-id", f"{kind} {twice[0]} is there twice", len(twice))


def _demand_sound(path: Path, columns: dict[str, Any]) -> None:
    """Refuse what can only be seen with photos and annotations joined."""
    names = columns["file_names"]
    if len(set(names)) < len(names):
        name, count = Counter(names).most_common(1)[0]
        raise refusal(path, "duplicate-file", f"file_name {name!r} is in {count} records")
    together = "\n".join(names)
    if not together.isascii() or any(mark in together for mark in _SUSPECT):
        for number, name in zip(columns["photo_ids"], names, strict=True):
            if problem := name_problem(name):
                raise refusal(path, "bad-value", f"image {number}: file_name is {name!r}, {problem}")
    heights, widths = columns["heights"], columns["widths"]
    photo = columns["annotation_photo"]
    sizes = np.stack((heights[photo], widths[photo]), axis=1)
    bad = np.flatnonzero((columns["kind"] == RLE) & (columns["rle_sizes"] != sizes).any(axis=1))
    if len(bad):
        given, wanted = columns["rle_sizes"][bad[0]].tolist(), sizes[bad[0]].tolist()
        problem = (
            f"annotation {columns['annotation_ids'][bad[0]]}: its mask is {given}, its photo {wanted} (height, width)"
        )
        raise refusal(path, "bad-rle", problem, len(bad))
