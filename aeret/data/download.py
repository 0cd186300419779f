"""One file over HTTP: resumed where it broke off, checked, and under its name only when complete.

The standard library's ``urllib`` does the transport: proxies, redirects and TLS are handled there, and what is missing
(resuming with ``If-Range``, retries, checks) is below.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aeret import __version__
from aeret.artifacts import flush, system_error
from aeret.data.manifest import Download
from aeret.errors import DataError, RunError
from aeret.progress import Progress, Step

_BLOCK = 1 << 18


@dataclass(frozen=True)
class Patience:
    """When to try again, and when to give up."""

    attempts: int = 6
    """Failures in a row, without one new byte in between, before giving up."""
    first_wait: float = 1.0
    """Seconds before the second attempt; doubled for each further one."""
    longest_wait: float = 60.0
    timeout: float = 30.0
    """Seconds without a byte after which a connection counts as broken."""


PATIENT = Patience()
"""Waits 1, 2, 4, 8 and 16 seconds."""


class _BrokenOff(Exception):
    """The transfer failed in a way that another attempt may mend."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _Damaged(Exception):
    """A complete file whose content is not that of the manifest."""


def download_file(
    item: Download,
    target: Path,
    progress: Progress,
    patience: Patience = PATIENT,
    room_for: Callable[[int], None] = lambda size: None,
) -> None:
    """Fetch one file to ``target``, by way of ``<target>.part``, which a later call continues.

    A partial file is continued only when the server still has the same content (``If-Range`` with the ETag or the date
    of the first answer), or where the sha256 is known and so will tell.

    Args:
        item: what to fetch; size and sha256 are checked where given.
        target: where to; replaced only by a complete, checked file.
        progress: opens a bar in bytes.
        patience: retries.
        room_for: called with the bytes still to come, before they are written; raises if there is no room.

    Raises:
        DataError: the server refuses the URL, or what it has is not what the manifest says.
        RunError: the connection failed again and again; what has arrived is kept for the next call.
        AeretError: the part cannot be written (:func:`aeret.artifacts.system_error`); ResourceError: the disk is full.
    """
    part = target.with_name(target.name + ".part")
    resumed = _transfer(item, part, progress, patience, room_for)
    try:
        _check(item, part, progress)
    except _Damaged:
        if not resumed:
            raise DataError(_discard(item, part)) from None
        # Pieces of two different contents, perhaps: once more from the first byte.
        part.unlink()
        _transfer(item, part, progress, patience, room_for)
        try:
            _check(item, part, progress)
        except _Damaged:
            raise DataError(_discard(item, part)) from None
    flush(part)
    part.replace(target)
    _note(part).unlink(missing_ok=True)


def _transfer(
    item: Download, part: Path, progress: Progress, patience: Patience, room_for: Callable[[int], None]
) -> bool:
    """Fetch until the file is complete; return whether it was put together from more than one answer."""
    failures = 0
    resumed = False
    most = _bytes_of(part)
    while True:
        resumed |= _bytes_of(part) > 0
        try:
            _attempt(item, part, progress, patience, room_for)
            return resumed
        except _BrokenOff as error:
            # Of what was ever held: a server without Range starts over, and what it sends again is nothing new.
            failures = failures + 1 if _bytes_of(part) <= most else 1
            most = max(most, _bytes_of(part))
            if failures >= patience.attempts:
                raise RunError(
                    f"{item.url}: {error}; gave up after {failures} attempts without a new byte. "
                    f"{_bytes_of(part):,} bytes are kept in {part}: run the same command again to go on from there."
                ) from None
            wait = patience.first_wait * 2 ** (failures - 1) if error.wait is None else error.wait
            time.sleep(min(wait, patience.longest_wait))
        except OSError as error:
            raise system_error(f"{part} cannot be written", error, "--root") from None


def _attempt(
    item: Download, part: Path, progress: Progress, patience: Patience, room_for: Callable[[int], None]
) -> None:
    have = _resumable(item, part)
    if item.size is not None and have == item.size:
        return
    headers = {"User-Agent": f"aeret/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if validator := _read_note(part):
            headers["If-Range"] = validator
    response = _open(urllib.request.Request(item.url, headers=headers), patience, part)
    if response is None:
        return
    with response:
        start, total = _extent(response, have)
        if start != have:
            have = 0
            if start:
                raise _BrokenOff(f"the server answered from byte {start:,}")
        if item.size is not None and total is not None and total != item.size:
            part.unlink(missing_ok=True)
            raise DataError(
                f"{item.url}: the server offers {total:,} bytes, the manifest says {item.size:,}; the file has changed "
                "or the manifest is wrong: compare with the publisher's page, then mend the manifest."
            )
        _write_note(part, response.headers)
        size = total if total is not None else item.size
        room_for((size or have) - have)
        with (
            progress(f"fetch {item.file_name}", size or 0, unit="B", done=have) as step,
            part.open("r+b" if have else "wb") as file,
        ):
            file.seek(have)
            file.truncate()
            arrived = have + _pour(response, file, step)
    if size is not None and arrived != size:
        raise _BrokenOff(f"the connection ended after {arrived:,} of {size:,} bytes")


def _open(request: urllib.request.Request, patience: Patience, part: Path) -> Any:
    """Return the answer, or ``None`` where the server says that nothing follows what is there."""
    try:
        return urllib.request.urlopen(request, timeout=patience.timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:
                if error.headers.get("Content-Range", "") == f"bytes */{_bytes_of(part)}":
                    return None
                part.unlink(missing_ok=True)
                raise _BrokenOff("the server does not know the range") from None
            if error.code in {408, 425, 429} or error.code >= 500:
                raise _BrokenOff(f"the server answered {error.code} {error.reason}", _retry_after(error)) from None
            raise DataError(
                f"{request.full_url}: the server answered {error.code} {error.reason}; check the URL in the manifest."
            ) from None
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, UnicodeError) as error:
        raise _BrokenOff(f"no connection ({getattr(error, 'reason', error)})") from None


def _pour(response: Any, file: Any, step: Step) -> int:
    count = 0
    while True:
        try:
            block = response.read(_BLOCK)
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            file.flush()
            raise _BrokenOff(f"the connection broke ({error})") from None
        if not block:
            return count
        file.write(block)
        count += len(block)
        step(len(block))


def _extent(response: Any, have: int) -> tuple[int, int | None]:
    """Return the first byte that the answer holds, and the size of the whole file if it is told."""
    length = response.headers.get("Content-Length")
    if response.status != 206:
        return 0, int(length) if length and length.isdigit() else None
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not match:
        raise _BrokenOff("the server answered a part without saying which")
    total = int(match[3]) if match[3] != "*" else None
    return int(match[1]), total


def _check(item: Download, part: Path, progress: Progress) -> None:
    if item.size is not None and _bytes_of(part) != item.size:
        raise _Damaged
    if item.sha256 is not None and _sha256(part, progress) != item.sha256:
        raise _Damaged


def _discard(item: Download, part: Path) -> str:
    size = _bytes_of(part)
    found = _sha256(part, None)
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)
    expected = f"sha256 {item.sha256}" if item.sha256 else f"{item.size:,} bytes"
    return (
        f"{item.url}: what arrived ({size:,} bytes, sha256 {found}) is not what the manifest says ({expected}); it was "
        "deleted. Fetch again; if it stays so, compare with the publisher's page and mend the manifest."
    )


def _sha256(path: Path, progress: Progress | None) -> str:
    sink = hashlib.sha256()
    with path.open("rb") as file:
        if progress is None:
            while block := file.read(_BLOCK):
                sink.update(block)
        else:
            with progress(f"check {path.stem}", path.stat().st_size, unit="B") as step:
                while block := file.read(_BLOCK):
                    sink.update(block)
                    step(len(block))
    return sink.hexdigest()


def _resumable(item: Download, part: Path) -> int:
    """Return how many bytes of the partial file can be built on."""
    have = _bytes_of(part)
    if not have or (item.size is not None and have > item.size):
        return 0
    return have if item.sha256 or _read_note(part) else 0


def _bytes_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _write_note(part: Path, headers: Any) -> None:
    """Keep what tells whether the server's content is still the same: only a strong ETag may go into If-Range."""
    etag = headers.get("ETag", "")
    validator = etag if etag.startswith('"') else headers.get("Last-Modified", "")
    _note(part).write_text(json.dumps({"validator": validator}), encoding="utf-8")


def _read_note(part: Path) -> str:
    try:
        return str(json.loads(_note(part).read_text(encoding="utf-8"))["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    text = error.headers.get("Retry-After", "") if error.headers else ""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
