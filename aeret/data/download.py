"""Download one file over HTTP; an interrupted download resumes where it broke off.

``urllib`` does the transport (proxies, redirects, TLS). No library we use resumes with ``If-Range``, hence this file.
"""

from __future__ import annotations

import hashlib
import http.client
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
from aeret.progress import Progress

_BLOCK = 1 << 18
_TRY_AGAIN = {408, 425, 429}
_BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, UnicodeError)


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


def download_file(
    item: Download,
    target: Path,
    progress: Progress,
    patience: Patience = PATIENT,
    room_for: Callable[[int], None] = lambda size: None,
) -> None:
    """Download one file to ``target``, by way of ``<target>.part``, which a later call continues.

    Args:
        item: what to fetch; size and sha256 are checked if given.
        target: where to; replaced only by a complete, checked file.
        progress: opens a bar in bytes.
        patience: retries.
        room_for: called with the bytes still to come, before they are written; raises if there is no room.

    Raises:
        DataError: the server refuses the URL, or the file is not what the manifest says.
        RunError: the connection failed again and again; what has arrived is kept for the next call.
        AeretError: the part cannot be written (:func:`aeret.artifacts.system_error`); ResourceError: the disk is full.
    """
    transfer = _Transfer(item, target.with_name(target.name + ".part"), progress, patience, room_for)
    joined = transfer.finish()
    if joined and not transfer.is_sound():
        # Pieces of two different contents, perhaps: once more from the first byte.
        transfer.part.unlink()
        joined = transfer.finish()
    if not transfer.is_sound():
        raise DataError(transfer.discard())
    flush(transfer.part)
    transfer.part.replace(target)
    transfer.note.unlink(missing_ok=True)


class _Transfer:
    """One file on its way; ``note`` keeps the validator of the server's content for ``If-Range``."""

    def __init__(
        self, item: Download, part: Path, progress: Progress, patience: Patience, room_for: Callable[[int], None]
    ) -> None:
        self.item, self.part, self.note = item, part, part.with_name(part.name + ".etag")
        self.progress, self.patience, self.room_for = progress, patience, room_for
        self._digest = ""

    def finish(self) -> bool:
        """Fetch until the file is complete; return whether it was joined from more than one answer."""
        failures, joined, most = 0, False, self._bytes()
        self._digest = ""
        while True:
            joined |= self._bytes() > 0
            try:
                self._attempt()
                return joined
            except _BrokenOff as error:
                # A server without Range starts over; what it sends again is nothing new.
                failures = failures + 1 if self._bytes() <= most else 1
                most = max(most, self._bytes())
                if failures >= self.patience.attempts:
                    raise RunError(
                        f"{self.item.url}: {error}; gave up after {failures} attempts without a new byte. "
                        f"{self._bytes():,} bytes are kept in {self.part}: run the same command again to go on."
                    ) from None
                wait = self.patience.first_wait * 2 ** (failures - 1) if error.wait is None else error.wait
                time.sleep(min(wait, self.patience.longest_wait))
            except OSError as error:
                raise system_error(f"{self.part} cannot be written", error, "--root") from None

    def is_sound(self) -> bool:
        """Compare size and sha256 with the manifest."""
        item = self.item
        if item.size is not None and self._bytes() != item.size:
            return False
        return item.sha256 is None or self._sha256() == item.sha256

    def discard(self) -> str:
        """Delete what arrived; return the message."""
        expected = f"sha256 {self.item.sha256}" if self.item.sha256 else f"{self.item.size:,} bytes"
        found = f"{self._bytes():,} bytes, sha256 {self._sha256()}"
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)
        return (
            f"{self.item.url}: what arrived ({found}) is not what the manifest says ({expected}); it was deleted. "
            "Fetch again; if that does not help, compare with the publisher's page and correct the manifest."
        )

    def _attempt(self) -> None:
        have, validator = self._bytes(), self.note.read_text(errors="replace") if self.note.is_file() else ""
        if have == self.item.size and have:
            return
        if have > (self.item.size or have) or not (self.item.sha256 or validator):
            have = 0
        headers = {"User-Agent": f"aeret/{__version__}", "Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": validator} if validator else {})
        response = self._open(urllib.request.Request(self.item.url, headers=headers))
        if response is None:
            return
        with response:
            start, total = _extent(response)
            if start not in (0, have):
                raise _BrokenOff(f"the server answered from byte {start:,}")
            if self.item.size is not None and total is not None and total != self.item.size:
                self.part.unlink(missing_ok=True)
                raise DataError(
                    f"{self.item.url}: the server offers {total:,} bytes, the manifest says {self.item.size:,}; the "
                    "file has changed or the manifest is wrong: compare with the publisher's page."
                )
            self.note.write_text(_validator(response.headers))
            size = self.item.size if total is None else total
            self.room_for((size or start) - start)
            self._pour(response, start, size)
        if size is not None and self._bytes() != size:
            raise _BrokenOff(f"the connection ended after {self._bytes():,} of {size:,} bytes")

    def _open(self, request: urllib.request.Request) -> Any:
        """Return the answer; None if the server says that nothing follows what is there."""
        try:
            return urllib.request.urlopen(request, timeout=self.patience.timeout)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416:
                    if error.headers.get("Content-Range", "") == f"bytes */{self._bytes()}":
                        return None
                    self.part.unlink(missing_ok=True)
                    raise _BrokenOff("the server does not know the range") from None
                answer = f"the server answered {error.code} {error.reason}"
                if error.code in _TRY_AGAIN or error.code >= 500:
                    seconds = error.headers.get("Retry-After", "")
                    raise _BrokenOff(answer, float(seconds) if seconds.isdigit() else None) from None
                raise DataError(f"{request.full_url}: {answer}; check the URL in the manifest.") from None
        except _BROKEN as error:
            raise _BrokenOff(f"no connection ({getattr(error, 'reason', error)})") from None

    def _pour(self, response: Any, start: int, size: int | None) -> None:
        title = f"fetch {self.item.file_name}"
        with (
            self.progress(title, size or 0, unit="B", done=start) as step,
            self.part.open("r+b" if start else "wb") as file,
        ):
            file.seek(start)
            file.truncate()
            while True:
                try:
                    block = response.read(_BLOCK)
                except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
                    raise _BrokenOff(f"the connection broke ({error})") from None
                if not block:
                    return
                file.write(block)
                step(len(block))

    def _bytes(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _sha256(self) -> str:
        if not self._digest:
            sink = hashlib.sha256()
            with (
                self.progress(f"check {self.part.stem}", self._bytes(), unit="B") as step,
                self.part.open("rb") as file,
            ):
                while block := file.read(_BLOCK):
                    sink.update(block)
                    step(len(block))
            self._digest = sink.hexdigest()
        return self._digest


def _extent(response: Any) -> tuple[int, int | None]:
    """Return the first byte that the answer holds, and the size of the whole file if the server says it."""
    if response.status != 206:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if not match:
        raise _BrokenOff("the server answered a part without saying which")
    return int(match[1]), int(match[3]) if match[3] != "*" else None


def _validator(headers: Any) -> str:
    """Return what tells whether content is still the same; only a strong ETag may go into If-Range."""
    etag = headers.get("ETag", "")
    return str(etag if etag.startswith('"') else headers.get("Last-Modified", ""))
