"""Write decoded photos into one .npy file so that a run killed at any moment continues where it stopped.

Beside ``photos.npy`` grows ``photos.journal``: a first line that says which job it is, then one line per chunk of
photos that is on disk. A chunk's line is written, and flushed, only after the chunk itself was; a line cut off by a
kill does not count. What is decoded twice is decoded to the same bytes, so a resumed store equals an unbroken one.
Behind the first row of its chunk a line names the rows of photos that were to be changed and were not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from aeret.artifacts import write_text
from aeret.data.photos import Change, PhotoFile, decode_changed
from aeret.errors import DataError
from aeret.progress import Progress

FILE = "photos.npy"
JOURNAL = "photos.journal"
_CHUNK_PHOTOS = 256
_CHUNK_BYTES = 32 << 20
_SHOWN = 10


class Changes(Protocol):
    """What is done to photos after they are decoded, chunk by chunk."""

    @property
    def identity(self) -> str:
        """Names it: a store begun with other changes is not continued."""
        ...

    def of_chunk(self, start: int, stop: int) -> Change:
        """Return the change of rows start to stop; it must pickle."""
        ...


def write_photos(
    folder: Path,
    photos: Sequence[PhotoFile],
    size: int,
    workers: int,
    progress: Progress,
    title: str,
    changes: Changes | None = None,
) -> list[int]:
    """Decode photos into ``folder/photos.npy``, uint8 (n, size, size, 3), starting after what is already there.

    Args:
        folder: exists; may hold a store begun earlier, which is continued if it is of the same files and size.
        photos: in the order of the rows.
        size: side in pixels.
        workers: processes; 0 means one per core. Never changes a byte.
        progress: opens one bar, in photos.
        title: of the bar.
        changes: what is done to the photos; must not depend on the number of processes either.

    Returns:
        The rows that the changes left as they were against their purpose, ascending; also those of an earlier start.

    Raises:
        DataError: photos are broken; names file and id.
        OSError: the disk is full or the file cannot be written.
    """
    job = _job(photos, size, changes.identity if changes else "")
    path, journal = folder / FILE, folder / JOURNAL
    per_chunk = max(1, min(_CHUNK_PHOTOS, _CHUNK_BYTES // (3 * size * size)))
    starts = range(0, len(photos), per_chunk)
    shape = (len(photos), size, size, 3)
    done = _done(path, journal, job, shape)
    if done is None:
        journal.unlink(missing_ok=True)
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
        done = {}
    # Anew, so that a line cut off by a kill does not run into the next one.
    write_text(journal, "".join(f"{line}\n" for line in [job, *map(_line, done, done.values())]))
    todo = [start for start in starts if start not in done]
    batches = [photos[start : start + per_chunk] for start in todo]
    first_byte = np.load(path, mmap_mode="r").offset
    already = len(photos) - sum(map(len, batches))
    with (
        progress(title, len(photos), unit="photo", done=already) as step,
        path.open("r+b") as store,
        journal.open("a") as lines,
    ):

        def change(number: int) -> Change | None:
            return changes.of_chunk(todo[number], todo[number] + len(batches[number])) if changes else None

        for start, (pixels, kept) in zip(todo, decode_changed(batches, size, workers, change), strict=True):
            done[start] = [start + row for row in kept]
            store.seek(first_byte + start * 3 * size * size)
            store.write(pixels.data)
            store.flush()
            os.fsync(store.fileno())
            lines.write(f"{_line(start, done[start])}\n")
            lines.flush()
            os.fsync(lines.fileno())
            step(len(pixels))
    return sorted(row for kept in done.values() for row in kept)


def _line(start: int, kept: Sequence[int]) -> str:
    return " ".join(map(str, [start, *kept]))


def demand_files(photos: Iterable[PhotoFile]) -> None:
    """Check that every photo is there, before hours go into decoding the first ones.

    Raises:
        DataError: names the files that are missing.
    """
    missing = [photo for photo in photos if not os.path.isfile(photo.path)]  # noqa: PTH113 - as in _job
    if missing:
        listed = "".join(f"\n  {photo.path} (photo {photo.photo_id})" for photo in missing[:_SHOWN])
        more = f"\n  and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(
            f"{len(missing)} photo file(s) named in the annotations are not there:{listed}{more}\n"
            "Put them there or remove their records; `aeret data check` lists all of them."
        )


def finish(folder: Path) -> None:
    """Remove the journal: the store is complete and will not be resumed."""
    (folder / JOURNAL).unlink(missing_ok=True)


def bytes_on_disk(folder: Path) -> int:
    """Return how many bytes of the store are allocated already; its unwritten parts are holes."""
    path = folder / FILE
    return path.stat().st_blocks * 512 if path.is_file() else 0


def _job(photos: Sequence[PhotoFile], size: int, changes: str) -> str:
    """Return a digest of which files become which rows; a photo that was replaced changes it."""
    sink = hashlib.blake2b(f"{size} {_CHUNK_PHOTOS} {_CHUNK_BYTES}{changes}\n".encode(), digest_size=16)
    for photo in photos:
        status = os.stat(photo.path)  # noqa: PTH116 - a Path for each of 100,000 photos takes longer than the call
        sink.update(f"{photo.photo_id} {status.st_size} {status.st_mtime_ns} {photo.path}\n".encode())
    return sink.hexdigest()


def _done(path: Path, journal: Path, job: str, shape: tuple[int, ...]) -> dict[int, list[int]] | None:
    """Return first row and unchanged rows of the chunks that are on disk; None where there is nothing to continue."""
    try:
        lines = journal.read_text().splitlines(keepends=True)
        fits = np.load(path, mmap_mode="r").shape == shape
    except (OSError, ValueError):
        return None
    if not fits or not lines or lines[0] != f"{job}\n":
        return None
    found = [[int(word) for word in line.split()] for line in lines[1:] if line.endswith("\n")]
    return {numbers[0]: numbers[1:] for numbers in found}
