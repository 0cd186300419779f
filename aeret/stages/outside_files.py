"""Digest the content of files outside any artifact."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aeret.artifacts import digest, file_digest, write_json
from aeret.errors import AeretError
from aeret.progress import silent, terminal

_FRESH_NS = 2_000_000_000
_MANY = 2000
"""Files to read from which on a bar is shown: planning has no progress argument, and this many may take a minute."""


def file_digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the content digest of each file that is there, by its name.

    Digests are kept under ``AERET_CACHE`` (default ``~/.cache/aeret``), a file a folder, by name, size and time of
    change.

    Args:
        folder: what the names are relative to.
        names: paths below the folder; symbolic links are followed. What is no file is left out: whoever needs it says
            what is missing.

    Raises:
        DataError: a file cannot be read.
    """
    cache = _cache() / "digests" / f"{digest(str(folder))}.json"
    known = _read(cache)
    found: dict[str, str] = {}
    stale: list[tuple[str, int, int]] = []
    for name in names:
        try:
            status = (folder / name).stat()
        except OSError:
            continue
        if not stat.S_ISREG(status.st_mode):
            continue
        entry = known.get(name, [])
        if entry[:2] == [status.st_size, status.st_mtime_ns]:
            found[name] = entry[2]
        else:
            stale.append((name, status.st_size, status.st_mtime_ns))
    # A file changed just now may change again within the clock's grain, with the same size: it is not kept.
    fresh = time.time_ns() - _FRESH_NS
    kept: dict[str, list[Any]] = {}
    progress = terminal if len(stale) > _MANY else silent
    try:
        with progress(f"read {folder.name}", len(stale), unit="file") as step:
            for name, size, changed in stale:
                found[name] = file_digest(folder / name)
                if changed < fresh:
                    kept[name] = [size, changed, found[name]]
                step(1)
    finally:  # what an interrupted run has read is not read again
        if kept:
            with contextlib.suppress(OSError, AeretError):  # a cache that cannot be written only costs time
                write_json(cache, known | kept)
    return found


def one_digest(path: Path) -> str:
    """Return the content digest of one file, kept like those of :func:`file_digests`.

    Raises:
        DataError: there is no such file, or it cannot be read.
    """
    return file_digests(path.parent, [path.name]).get(path.name) or file_digest(path)


def artifact_key(path: Path) -> str:
    """Return the key of an artifact's path, or an empty string.

    Its content follows from the key, so a pipeline may plan with an artifact that is yet to be made.
    """
    named = path.parent.parent.name == "artifacts" and re.fullmatch(r"[0-9a-f]{16}", path.name)
    return path.name if named else ""


def _read(cache: Path) -> dict[str, list[Any]]:
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(cache.read_text(encoding="utf-8"))
        if isinstance(known, dict):
            return known
    return {}


def _cache() -> Path:
    return Path(os.environ.get("AERET_CACHE") or "~/.cache/aeret").expanduser()
