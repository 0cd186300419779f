"""Cut the record lists of a COCO file into batches of JSON text, without reading the file twice.

``guess`` cuts at what looks like the border of two records, ``}, {``. The same characters may stand inside a text or a
nested list, but then a batch is no valid JSON array, and whoever decodes it sees that; and where a batch is one, its
end is a true border. So: take the batches of ``guess`` until one cannot be decoded, then start again with ``sure``,
which scans the whole file for syntax first (a fifth of the time of a read) and holds an object a record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from mmap import mmap

import msgspec

SECTIONS = ("images", "annotations", "categories")

_BYTES = 1 << 18
"""of one batch: large enough that a call costs nothing, small enough to stay in the processor's cache"""
RECORDS = 512
"""of one batch that is cut surely"""

_KEY = re.compile(rb'\s*(?:\{|,)\s*"([^"\\]*)"\s*:\s*')
_BORDER = re.compile(rb"\}\s*(?:,\s*(?=\{)|\])")
_END = re.compile(rb"\}\s*\]")
_OPEN, _EMPTY = re.compile(rb"\[\s*(?=\{)"), re.compile(rb"\[\s*\]")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_PLAIN = re.compile(rb"[^,}\]\s]+")
_CLOSE = re.compile(rb"\s*\}\s*\Z")


class _File(msgspec.Struct):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw]


_FILE = msgspec.json.Decoder(_File)


class Irregular(Exception):
    """Guessing does not work on this text; it may be broken, or only unusual."""


def sure(text: bytes | mmap) -> Iterator[tuple[str, bytes]]:
    """Yield (section, JSON array of some of its records) for every section, each at least once.

    Raises:
        msgspec.ValidationError: a section is missing or is no list.
        msgspec.DecodeError: the text is no JSON.
    """
    file = _FILE.decode(text)
    for section in SECTIONS:
        records = getattr(file, section)
        for start in range(0, max(len(records), 1), RECORDS):
            yield section, b"[" + b",".join(records[start : start + RECORDS]) + b"]"


def guess(text: bytes | mmap) -> Iterator[tuple[str, bytes]]:
    """Yield what :func:`sure` does, in the order of the file and in batches of other lengths, perhaps wrongly cut.

    Raises:
        Irregular: the text is not what this function expects.
    """
    at, seen = 0, set()
    while key := _KEY.match(text, at):
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
            while more:
                border = _END.search(text, at, at + _BYTES) or _BORDER.search(text, at + _BYTES)
                if border is None:
                    raise Irregular
                yield section, b"[" + text[at : border.start() + 1] + b"]"
                at, more = border.end(), not border[0].endswith(b"]")
        else:
            at = _after_value(text, at)
    if len(seen) != len(SECTIONS) or not _CLOSE.match(text, at):
        raise Irregular


def _after_value(text: bytes | mmap, at: int) -> int:
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
