"""Columns of annotation files that were read before, kept so that the second opening takes milliseconds.

One file for each annotation file, under ``collections`` of the cache folder (``AERET_CACHE``, by default
``~/.cache/aeret``). It belongs to the annotation file's path, size and times of change, and to the code that read it;
where any of them differs, or the file is damaged, it is not used, and written again. Setting
``AERET_COLLECTION_CACHE=off`` switches it off; deleting the folder is always safe.

The file: ``aeret columns``, length and digest of the facts, the facts (JSON), then the arrays, each at a multiple of
64 bytes; the facts hold the sum of all their words. It is memory-mapped: columns nobody looks at take no memory.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import mmap
import os
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from aeret.data.json_batches import forget

_MAGIC = b"aeret columns 1\n"
_HEAD = len(_MAGIC) + 16
_SMALLEST = 1 << 20
"""bytes of an annotation file below which reading it again is quick enough"""
_MOST = 4 << 30
"""bytes of all kept columns; beyond it those not opened for the longest time go"""
_FRESH_NS = 2_000_000_000
_READERS = (
    "annotation_columns.py",
    "annotation_scan.py",
    "characters.py",
    "coco_json.py",
    "collection_cache.py",
    "json_batches.py",
    "json_tokens.py",
    "rle.py",
    "rules.py",
)

log = logging.getLogger(__name__)


class _Facts(msgspec.Struct):
    source: list[str | int]
    """path, size, time of change of content and of record, reader"""
    arrays: dict[str, tuple[str, list[int], int]]
    """name -> dtype, shape, place behind the facts"""
    texts: dict[str, list[str]]
    flags: list[str]
    """names of the photo flags; their arrays are called ``flag 0`` ..."""
    total: int
    """sum of all words of the arrays, modulo 2 ** 64"""


Source = list[str | int]
"""What kept columns belong to: path, size, time of change of content and of record, and reader of a file."""


def source_of(path: Path) -> Source | None:
    """Return what columns of a file read from now on belong to; None where none are to be kept."""
    if os.environ.get("AERET_COLLECTION_CACHE", "").lower() in ("off", "0", "no", "false"):
        return None
    try:
        path = path.resolve()
        status = path.stat()
        if status.st_size < _SMALLEST:
            return None
        return [str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, _reader()]
    except OSError:
        return None


def load(source: Source) -> dict[str, Any] | None:
    """Return the columns of an annotation file as ``read_columns`` does; None where they are not kept.

    The arrays may be written to; that changes neither the kept file nor what others see.
    """
    kept = _place(source)
    try:
        with kept.open("rb") as stream:
            view = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        columns = _unpacked(view, source)
        with contextlib.suppress(OSError):  # a folder that is not ours to write
            os.utime(kept)
        return columns
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:  # also of msgspec
        log.info("%s: kept columns are damaged (%s); the file is read again", source[0], error)
        return None


def save(source: Source, columns: dict[str, Any]) -> None:
    """Keep the columns of an annotation file; where that is not possible, only the time of the next reading is lost.

    Args:
        source: of the file before it was read.
        columns: as ``read_columns`` returned them.
    """
    # A file changed just now may change again within the clock's grain, with the same size.
    if time.time_ns() - max(int(source[2]), int(source[3])) < _FRESH_NS:
        return
    kept = _place(source)
    temporary = kept.with_name(f".{kept.name}.{uuid.uuid4().hex}.tmp")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        facts, arrays = _packed(source, columns)
        with temporary.open("wb") as stream:
            head = msgspec.json.encode(facts)
            head += b" " * (-(_HEAD + len(head)) % 64)
            stream.write(_MAGIC + len(head).to_bytes(8, "little") + _digest(head, 8) + head)
            start = stream.tell()
            for (_, _, place), array in zip(facts.arrays.values(), arrays, strict=True):
                stream.seek(start + place)
                stream.write(array.data)
            stream.truncate(stream.tell() + -stream.tell() % 8)
            stream.flush()
            os.fsync(stream.fileno())
        # Where the file changed while it was read, what was read belongs to neither.
        if source_of(Path(str(source[0]))) == source:
            temporary.replace(kept)
            _bound(kept)
    except (OSError, ValueError) as error:
        log.info("%s: its columns cannot be kept (%s)", source[0], error)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _digest(content: bytes, size: int) -> bytes:
    return hashlib.blake2b(content, digest_size=size).digest()


@functools.cache
def _reader() -> str:
    """Return a digest of the code that reads annotation files: other code may read other columns."""
    return _digest(b"".join(Path(__file__).with_name(name).read_bytes() for name in _READERS), 8).hex()


def _place(source: Source) -> Path:
    folder = Path(os.environ.get("AERET_CACHE") or "~/.cache/aeret").expanduser() / "collections"
    return folder / f"{_digest(os.fsencode(str(source[0])), 16).hex()}.columns"


def _packed(source: Source, columns: dict[str, Any]) -> tuple[_Facts, list[NDArray[Any]]]:
    """Return the facts and the arrays in the order of the facts."""
    flags: dict[str, NDArray[np.bool_]] = columns["photo_flags"]
    named = {name: value for name, value in columns.items() if isinstance(value, np.ndarray)}
    named |= {f"flag {number}": flag for number, flag in enumerate(flags.values())}
    texts = {name: list(value) for name, value in columns.items() if isinstance(value, list | tuple)}
    facts, place, total = _Facts(source, {}, texts, list(flags), 0), 0, 0
    for name, array in named.items():
        facts.arrays[name] = (array.dtype.str, list(array.shape), place)
        place += array.nbytes + -array.nbytes % 64
        padded = np.zeros(array.nbytes % 8 and 8, np.uint8)
        padded[: array.nbytes % 8] = array.reshape(-1).view(np.uint8)[array.nbytes - array.nbytes % 8 :]
        whole = array.reshape(-1).view(np.uint8)[: array.nbytes - array.nbytes % 8].view(np.uint64)
        total += int(whole.sum()) + int(padded.view(np.uint64).sum())
    facts.total = total % 2**64
    return facts, [np.ascontiguousarray(array) for array in named.values()]


def _unpacked(view: mmap.mmap, source: Source) -> dict[str, Any] | None:
    """Return the columns; None where they belong to another file.

    Raises:
        ValueError: the file is damaged.
    """
    if view[: len(_MAGIC)] != _MAGIC:
        raise ValueError("no such file")
    length = int.from_bytes(view[len(_MAGIC) : len(_MAGIC) + 8], "little")
    head = view[_HEAD : _HEAD + length]
    if _digest(head, 8) != view[_HEAD - 8 : _HEAD]:
        raise ValueError("its facts are damaged")
    facts = msgspec.json.decode(head, type=_Facts)
    if facts.source != source:
        return None
    start = _HEAD + length
    if (len(view) - start) % 8 or int(
        np.frombuffer(view, np.uint64, (len(view) - start) // 8, start).sum()
    ) != facts.total:
        raise ValueError("its sum is wrong")
    forget(view, 0, len(view))
    arrays: dict[str, NDArray[Any]] = {}
    for name, (kind, shape, place) in facts.arrays.items():
        count = int(np.prod(shape))
        array = np.frombuffer(view, kind, count, start + place) if count else np.zeros(0, kind)
        arrays[name] = array.reshape(shape)
    flags = {name: arrays.pop(f"flag {number}") for number, name in enumerate(facts.flags)}
    texts = {name: value if name == "file_names" else tuple(value) for name, value in facts.texts.items()}
    return {**arrays, **texts, "photo_flags": flags}


def _bound(kept: Path) -> None:
    """Delete the columns that were not opened for the longest time, but never those just written."""
    entries = []
    for entry in kept.parent.glob("*.columns"):
        with contextlib.suppress(OSError):
            status = entry.stat()
            entries.append((status.st_mtime_ns, status.st_size, entry))
    total = sum(size for _, size, _ in entries)
    for _, size, entry in sorted(entries):
        if total <= _MOST:
            break
        if entry != kept:
            with contextlib.suppress(OSError):
                entry.unlink()
            total -= size
