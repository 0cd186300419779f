"""Decode many photos into one ``.npy`` file; a killed run continues where it stopped.

Pixels go straight to their place in the file. The part of :mod:`aeret.parts` that says that a chunk is there is written
after the chunk's pixels are on the disk; it holds the rows whose background could not be removed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aeret.data.photos import Change, PhotoFile, decode_changed
from aeret.errors import DataError
from aeret.parts import Arrays, Parts, divided
from aeret.progress import Progress

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


@dataclass(frozen=True)
class PhotoJob:
    """Which photos become which rows, and how."""

    photos: Sequence[PhotoFile]
    """In the order of the rows."""
    size: int
    """Side in pixels."""
    changes: Changes | None = None
    """Must not depend on the number of processes."""

    @property
    def chunk(self) -> int:
        """Photos in one chunk."""
        return max(1, min(_CHUNK_PHOTOS, _CHUNK_BYTES // (3 * self.size**2)))

    @property
    def identity(self) -> str:
        """Digest of all of it; a photo file that was replaced changes it."""
        sink = hashlib.blake2b(f"{self.size} {self.changes.identity if self.changes else ''}\n".encode())
        for photo in self.photos:
            status = os.stat(photo.path)  # noqa: PTH116 - a Path for each of 100,000 photos takes longer than the call
            sink.update(f"{photo.photo_id} {status.st_size} {status.st_mtime_ns} {photo.path}\n".encode())
        return sink.hexdigest()


def write_photos(
    path: Path, parts_folder: Path, job: PhotoJob, workers: int, progress: Progress, title: str
) -> npt.NDArray[np.int64]:
    """Decode photos into ``path``, uint8 (n, size, size, 3), except chunks that are already there.

    Args:
        path: the ``.npy`` file; its folder exists.
        parts_folder: remembers the chunks that are done; the caller removes it.
        job: which photos, and how.
        workers: processes; 0 means one per core. Never changes a byte.
        progress: opens one bar, in photos.
        title: of the bar.

    Returns:
        int64 (k,) ascending: rows that the changes left as they were against their purpose.

    Raises:
        DataError: photos are broken; names file and id.
        OSError: the disk is full or the file cannot be written.
    """
    shape = (len(job.photos), job.size, job.size, 3)
    if _shape(path) != shape:
        shutil.rmtree(parts_folder, ignore_errors=True)
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape).flush()
    parts = Parts(parts_folder, job.identity, divided(len(job.photos), job.chunk))
    parts.fill(lambda missing: _written(path, job, missing, workers), progress, title)
    return parts.gather("kept")


def _written(path: Path, job: PhotoJob, chunks: Sequence[int], workers: int) -> Iterator[Arrays]:
    """Write the pixels of chunks to their place; yield the part of each once they are on the disk."""
    spans = [(chunk * job.chunk, min((chunk + 1) * job.chunk, len(job.photos))) for chunk in chunks]
    first_byte = np.load(path, mmap_mode="r").offset

    def change(number: int) -> Change | None:
        return job.changes.of_chunk(*spans[number]) if job.changes else None

    decoded = decode_changed([job.photos[start:stop] for start, stop in spans], job.size, workers, change)
    with path.open("r+b") as store:
        for (start, _), (pixels, kept) in zip(spans, decoded, strict=True):
            store.seek(first_byte + start * 3 * job.size**2)
            store.write(pixels.data)
            store.flush()
            os.fsync(store.fileno())
            yield {"kept": np.array(kept, np.int64) + start}


def demand_files(photos: Iterable[PhotoFile]) -> None:
    """Check that every photo file exists, before hours go into decoding the first ones.

    Raises:
        DataError: names the files that are missing.
    """
    missing = [photo for photo in photos if not os.path.isfile(photo.path)]  # noqa: PTH113 - as in PhotoJob.identity
    if missing:
        listed = "".join(f"\n  {photo.path} (photo {photo.photo_id})" for photo in missing[:_SHOWN])
        more = f"\n  and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DataError(
            f"{len(missing)} photo file(s) named in the annotations are missing:{listed}{more}\n"
            "Put them there or remove their records; `aeret data check` lists all of them."
        )


def _shape(path: Path) -> tuple[int, ...] | None:
    try:
        return tuple(np.load(path, mmap_mode="r").shape)
    except (OSError, ValueError):
        return None
