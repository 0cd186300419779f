"""Read COCO annotation files into columns and find everything wrong with them.

This is the only reader: ``check`` lists the problems that it finds, every other command refuses a file with an error
among them. Records are decoded one by one into typed structs; the joined columns are checked as arrays.
"""

from __future__ import annotations

import codecs
import gc
import mmap
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec

from aeret.data.coco_columns import AnnotationColumns, Columns, columns_of, joined_problems
from aeret.data.coco_records import (
    AnnotationRecord,
    CategoryRecord,
    PhotoRecord,
    decoded,
    plain_record,
    record_ids,
    record_name,
    shortened,
)
from aeret.data.rules import Problem, name_problem
from aeret.progress import Progress, silent

SECTIONS = ("images", "annotations", "categories")
_BATCH = 512  # records appended to the columns at once
_CHUNK = 1 << 20


class Photo(NamedTuple):
    """A photo file that a record names, with the record's name and its (height, width) if they are known."""

    file_name: str
    where: str
    size: tuple[int, int] | None


@dataclass
class CocoFile:
    """Content of an annotation file and everything wrong with it."""

    problems: list[Problem] = field(default_factory=list)
    photos: list[Photo] = field(default_factory=list)
    """Photo files named by the records, each once, also by records with other faults."""
    columns: Columns | None = None
    """Fields of a :class:`aeret.data.collection.Collection`; None if a section could not be read."""

    @property
    def photos_known(self) -> bool:
        """Whether every image record is sound, so that splits can be told."""
        wrong = (problem.where.startswith("image ") for problem in self.problems)
        return self.columns is not None and not any(wrong)


def read_coco(path: Path, progress: Progress = silent) -> CocoFile:
    """Read an annotation file that exists.

    Args:
        path: a JSON file with the lists ``images``, ``annotations`` and ``categories``.
        progress: shown for annotations.

    Raises:
        OSError: the file cannot be read.
    """
    file = CocoFile()
    with _collector_off(), path.open("rb") as stream:
        if path.stat().st_size == 0:
            file.problems.append(Problem("truncated-json", "its start", "the file is empty"))
            return file
        # Undecoded records refer to the mapped file, so it is released with the last of them.
        sections = _sections(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ), file.problems)
        if sections:
            _fill(file, sections, progress)
    return file


def read_photo_ids(path: Path) -> tuple[list[int], list[Problem]]:
    """Return the ids of the image records of a file, whose other sections may be absent, and what is wrong.

    Raises:
        OSError: the file cannot be read.
    """
    problems: list[Problem] = []
    with path.open("rb") as stream:
        if path.stat().st_size == 0:
            return [], [Problem("truncated-json", "its start", "the file is empty")]
        text = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        records = _sections(text, problems, ("images",)).get("images", [])
    ids = [number for raw in records for number in record_ids(raw, None)]
    if len(ids) < len(records):
        problems.append(Problem("bad-value", "images", f"{len(records) - len(ids)} records have no integer id"))
    return ids, problems


class _FileName(msgspec.Struct, gc=False):
    file_name: str


class _FileNames(msgspec.Struct):
    images: list[_FileName]


def read_file_names(path: Path) -> list[str]:
    """Return the photo names of a sound annotation file that stay inside the photo folder; none of another file."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as text:
            images = msgspec.json.decode(text, type=_FileNames).images
    except (OSError, ValueError, RecursionError):  # ValueError covers msgspec's errors and an empty file
        return []
    return [image.file_name for image in images if name_problem(image.file_name) is None]


@contextmanager
def _collector_off() -> Iterator[None]:
    """Pause Python's cycle collector: a million acyclic records would cost it seconds."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


# --- the file ---------------------------------------------------------------------------------------------------------


class _Key:
    """A key that equals no other, so that a dictionary keeps keys that are given twice."""

    def __init__(self, text: str) -> None:
        self.text = text


def _as_key(kind: type, text: str) -> _Key:
    return _Key(text)


_KEYS = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=_as_key)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?Infinity|NaN', re.DOTALL)
_HALF = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)")


def _sections(
    text: mmap.mmap, problems: list[Problem], wanted: Sequence[str] = SECTIONS
) -> dict[str, list[msgspec.Raw]]:
    """Return the undecoded records of the wanted sections, or nothing if one of them cannot be read."""
    try:
        _demand_utf8(text)
        try:
            pairs = _KEYS.decode(text)
        except msgspec.DecodeError:
            pairs = _KEYS.decode(_repaired(text[:]))
    except UnicodeDecodeError as error:
        problems.append(Problem("truncated-json", f"byte {error.start}", "is not UTF-8 text"))
        return {}
    except (msgspec.DecodeError, RecursionError) as error:
        problems.append(Problem("truncated-json", "the file", _json_problem(error)))
        return {}
    found: dict[str, list[msgspec.Raw]] = {}
    for section in wanted:
        values = [value for key, value in pairs.items() if key.text == section]
        if not values:
            problems.append(Problem("missing-section", section, "is not in the file"))
        elif len(values) > 1:
            problems.append(Problem("duplicate-section", section, f"{section!r} is given more than once"))
        elif not bytes(values[0]).startswith(b"["):
            problems.append(Problem("missing-section", section, f"is {shortened(bytes(values[0]))}, not a list"))
        else:
            found[section] = _LIST.decode(values[0])
    return found if len(found) == len(wanted) else {}


def _demand_utf8(text: mmap.mmap) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(text), _CHUNK):
        try:
            decoder.decode(text[start : start + _CHUNK], start + _CHUNK >= len(text))
        except UnicodeDecodeError as error:
            at = start + error.start
            raise UnicodeDecodeError("utf-8", b"", at, at + 1, error.reason) from None


def _repaired(text: bytes) -> bytes:
    """Replace NaN, Infinity and half surrogates, which Python writes and JSON lacks, by values no rule accepts."""

    def repair(token: re.Match[bytes]) -> bytes:
        if not token[0].startswith(b'"'):
            return b"1e999"
        return _HALF.sub(lambda found: rb"\u0000" if found[1] else found[0], token[0])

    return _TOKEN.sub(repair, text)


def _json_problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return f"is not JSON: {error}"


_BOOLEAN = re.compile(rb":\s*(?:true|false)\b")


# --- the records ------------------------------------------------------------------------------------------------------


def _fill(file: CocoFile, sections: dict[str, list[msgspec.Raw]], progress: Progress) -> None:
    photos: list[PhotoRecord] = []
    flags: dict[str, list[int]] = {}
    known_photos: list[int] = []
    for index, (raw, record, problems) in enumerate(decoded("images", sections["images"])):
        file.problems += problems
        known_photos += record_ids(raw, record)
        _note_photo(file, index, raw, record)
        if record is not None:
            if _BOOLEAN.search(raw):  # most records have no flags and need not be decoded whole
                for key, value in plain_record(raw).items():
                    if isinstance(value, bool):
                        flags.setdefault(key, []).extend([len(photos)] * value)
            photos.append(record)
    categories: list[CategoryRecord] = []
    known_categories: list[int] = []
    for raw, record, problems in decoded("categories", sections["categories"]):
        file.problems += problems
        known_categories += record_ids(raw, record)
        categories += [record] if record is not None else []
    annotations = AnnotationColumns()
    total = len(sections["annotations"])
    batch: list[AnnotationRecord] = []
    found: list[Problem] = []
    with progress("read annotations", total, unit="annotation") as step:
        for index, (_, record, problems) in enumerate(decoded("annotations", sections["annotations"]), 1):
            found += problems
            batch += [record] if record is not None else []
            if len(batch) == _BATCH or index == total:
                annotations.add(batch)
                batch = []
            if index % _BATCH == 0 or index == total:
                step(index % _BATCH or _BATCH)
    file.columns = columns_of(photos, categories, flags, annotations)
    file.problems += [
        *_same_files(file.photos),
        *found,
        *joined_problems(file.columns, annotations, known_photos, known_categories),
    ]


def _note_photo(file: CocoFile, index: int, raw: msgspec.Raw, record: PhotoRecord | None) -> None:
    """Remember the photo of a record to be looked at, also if other fields of the record are wrong."""
    size: tuple[int, int] | None
    if record is not None:
        name, where, size = record.file_name, f"image {record.id}", (record.height, record.width)
    else:
        values = plain_record(raw)
        if not isinstance(values, dict) or not isinstance(values.get("file_name"), str):
            return
        name, where = values["file_name"], record_name("image", index, values)
        height, width = values.get("height"), values.get("width")
        size = (height, width) if type(height) is int and type(width) is int and min(height, width) > 0 else None
    if name_problem(name) is None:
        file.photos.append(Photo(name, where, size))


def _same_files(photos: Sequence[Photo]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for photo in photos:
        if photo.file_name in first:
            text = f"file_name {photo.file_name!r} is also that of {first[photo.file_name]}"
            yield Problem("duplicate-file", photo.where, text)
        first.setdefault(photo.file_name, photo.where)
