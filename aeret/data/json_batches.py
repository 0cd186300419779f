"""Cut the record lists of a COCO file into batches of JSON text, without reading the file twice.

``guess`` cuts at what looks like the border of two records, ``}, {``. The same characters may stand inside a text or a
nested list, but then a batch is no valid JSON array, and whoever decodes it sees that; and where a batch is one, its
end is a true border. So: take the batches of ``guess`` until one cannot be decoded, then start again with ``sure``,
which scans the whole file for syntax first (a fifth of the time of a read) and holds an object a record.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

SECTIONS = ("images", "annotations", "categories")

_BYTES = 1 << 18
"""of one batch: large enough that a call costs nothing, small enough to stay in the processor's cache"""
RECORDS = 512
"""of one batch that is cut surely"""

# The white space of JSON: \s takes more.
_FIRST_KEY, _NEXT_KEY = (
    re.compile(rb'[ \t\n\r]*%s[ \t\n\r]*"([^"\\]*)"[ \t\n\r]*:[ \t\n\r]*' % mark) for mark in (rb"\{", b",")
)
_BORDER = re.compile(rb"\}[ \t\n\r]*(?:,[ \t\n\r]*(?=\{)|\])")
_END = re.compile(rb"\}[ \t\n\r]*\]")
_OPEN, _EMPTY = re.compile(rb"\[[ \t\n\r]*(?=\{)"), re.compile(rb"\[[ \t\n\r]*\]")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_PLAIN = re.compile(rb"[^,}\]\s]+")
_CLOSE = re.compile(rb"[ \t\n\r]*\}[ \t\n\r]*\Z")


class _File(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw]


_FILE = msgspec.json.Decoder(_File)


class Doubled(Exception):
    """A section is given more than once; what other readers take of it differs."""

    def __init__(self, section: str) -> None:
        super().__init__(f"{section!r} is given more than once")


class _Key:
    """A key of the file, which equals no other: a dictionary of these keeps keys that are given twice."""

    def __init__(self, text: str) -> None:
        self.text = text


def _key(kind: type, text: str) -> _Key:
    return _Key(text)


_KEYS = msgspec.json.Decoder(dict[_Key, msgspec.Raw], dec_hook=_key)


class Irregular(Exception):
    """Guessing does not work on this text; it may be broken, or only unusual."""


def sure(text: bytes | mmap.mmap) -> Iterator[tuple[str, bytes]]:
    """Yield (section, JSON array of some of its records) for every section, each at least once.

    Raises:
        msgspec.ValidationError: a section is missing or is no list.
        msgspec.DecodeError: the text is no JSON.
        Doubled: a section is there twice.
    """
    file = _FILE.decode(text)
    demand_once(text)
    for section in SECTIONS:
        records = getattr(file, section)
        for start in range(0, max(len(records), 1), RECORDS):
            yield section, b"[" + b",".join(records[start : start + RECORDS]) + b"]"


def demand_once(text: bytes | mmap.mmap) -> None:
    """Refuse a file, a JSON object, that gives one of the sections twice: decoders take the last and are silent.

    Raises:
        Doubled: it does.
        msgspec.DecodeError: the text is no JSON object.
    """
    keys = [key.text for key in _KEYS.decode(text)]
    for section in SECTIONS:
        if keys.count(section) > 1:
            raise Doubled(section)


def guess(
    text: bytes | mmap.mmap, readers: Mapping[str, Callable[[int], int]] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield what :func:`sure` does, in the order of the file and in batches of other lengths, perhaps wrongly cut.

    Args:
        text: the file.
        readers: by section, who reads its list himself: called with the place of its first record, which is there,
            returns the place behind the list. Nothing is yielded for such a section, unless it is empty.

    Raises:
        Irregular: the text is not what this function expects.
        msgspec.DecodeError: what stands between the sections is no JSON.
    """
    at, seen = 0, set()
    while key := (_NEXT_KEY if at else _FIRST_KEY).match(text, at):
        section = key[1].decode("utf-8", "replace")
        at = key.end()
        if section in SECTIONS:
            if section in seen:
                raise Irregular
            seen.add(section)
            if empty := _EMPTY.match(text, at):
                yield section, b"[]"
                at = empty.end()
                continue
            opening = _OPEN.match(text, at)
            if opening is None:
                raise Irregular
            at, more = opening.end(), True
            if readers and section in readers:
                at = readers[section](at)
                continue
            while more:
                border = _END.search(text, at, at + _BYTES) or _BORDER.search(text, at + _BYTES)
                if border is None:
                    raise Irregular
                yield section, b"[" + text[at : border.start() + 1] + b"]"
                forget(text, at, border.start())
                at, more = border.end(), not border[0].endswith(b"]")
        else:
            end = _after_value(text, at)
            msgspec.json.decode(text[at:end], type=msgspec.Raw)  # as sure() would see that it is no JSON
            at = end
    if len(seen) != len(SECTIONS) or not _CLOSE.match(text, at):
        raise Irregular


def forget(text: bytes | mmap.mmap, start: int, end: int) -> None:
    """Take pages of a mapped file out of this process's memory; they come back where they are read again."""
    if isinstance(text, mmap.mmap) and hasattr(text, "madvise"):
        first, last = start // mmap.PAGESIZE * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if last > first:
            text.madvise(mmap.MADV_DONTNEED, first, last - first)


def _after_value(text: bytes | mmap.mmap, at: int) -> int:
    """Return where the JSON value that starts at ``at`` ends."""
    depth = 0
    if text[at : at + 1] not in (b'"', b"[", b"{"):
        plain = _PLAIN.match(text, at)
        if plain is None:
            raise Irregular
        return plain.end()
    for token in _TOKEN.finditer(text, at):
        mark = token[0]
        depth += (mark in (b"[", b"{")) - (mark in (b"]", b"}"))
        if depth == 0:
            return token.end()
    raise Irregular
