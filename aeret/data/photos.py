"""From photo files to squares of RGB bytes, by stated rules, in as many processes as there are cores.

1. The EXIF orientation is applied; a photo whose upright size is not its record's is refused, its masks would not fit.
2. Grey, palette, CMYK and YCCK photos become RGB. Grey of whole numbers of more than 8 bits counts as 16 bits, of which
   the high byte is kept, however dark the photo is; what lies outside of 16 bits is clipped. Alpha is blended over
   black; of an animation the first frame is taken.
3. The photo is stretched to a square with Pillow's bicubic filter, which is widened by the reduction (antialiased). A
   JPEG whose shorter side is at least four times the square's is first reduced by its decoder, to no less than twice
   the square: twice as fast at 640 x 480, and 49 dB from the whole decode (half a level on average).
4. A file that cannot be decoded to its last row is an error, never a grey area.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from aeret.cores import cores
from aeret.errors import DataError, RunError
from aeret.parts import in_order

Photos = npt.NDArray[np.uint8]
Change = Callable[[Photos], tuple[Photos, list[int]]]
"""From the decoded photos of a batch to changed ones, and the rows that stayed as they were against its purpose."""

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_ITS_SIDE = {5, 6, 7, 8}
# What Pillow's decoders raise on bytes that are no image, or only part of one.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
_SHOWN = 10
_INLINE = 64  # photos; starting processes takes as long as decoding about so many


class PhotoFile(NamedTuple):
    """One photo to decode."""

    path: str
    photo_id: int
    height: int = 0
    """Pixels, upright, by its record; 0 where there is no record."""
    width: int = 0


def photos_in(folder: Path) -> list[PhotoFile]:
    """List the photos of a folder and its subfolders by name; the id of each is its place in the list.

    Raises:
        DataError: the folder is missing or holds no photo.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give a folder of photos.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not paths:
        raise DataError(f"{folder}: holds no photo (looked for {', '.join(EXTENSIONS)}).")
    return [PhotoFile(str(path), number) for number, path in enumerate(paths)]


def decode_photo(photo: PhotoFile, size: int) -> Photos:
    """Decode one photo by the rules of this module.

    Args:
        photo: where it is, and the size that its record gives it.
        size: side of the result in pixels.

    Returns:
        uint8 (size, size, 3), RGB.

    Raises:
        DataError: the file is missing, is no image, is cut off, or has another size than its record; names file and id.
    """
    place = f"{photo.path} (photo {photo.photo_id})"
    try:
        with warnings.catch_warnings():
            # Damaged EXIF and large photos: Pillow goes on after both, and so do we.
            warnings.simplefilter("ignore")
            return _decode(photo, size, place)
    except FileNotFoundError:
        raise DataError(f"{place}: no such file; put it there or remove its record.") from None
    except UnidentifiedImageError:
        raise DataError(f"{place}: is no image that can be read; fetch it again.") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{place}: {error}") from None
    except BROKEN as error:
        raise DataError(f"{place}: cannot be decoded to its end ({error}); fetch it again.") from None


def decode_batches(batches: Sequence[Sequence[PhotoFile]], size: int, workers: int = 0) -> Iterator[Photos]:
    """Decode batches of photos in parallel processes; the result does not depend on how many there are.

    Processes are spawned, not forked (TensorFlow's threads do not survive a fork), and end with this one however it
    ends. At most two batches per process are held in memory.

    Args:
        batches: photos, in the order wanted.
        size: side of the results in pixels.
        workers: processes; 0 means one per core.

    Yields:
        uint8 (len(batch), size, size, 3) for each batch, in order.

    Raises:
        DataError: lists the broken photos of the first batch that has some.
        RunError: a process was killed.
    """
    for photos, _ in decode_changed(batches, size, workers, lambda number: None):
        yield photos


def decode_changed(
    batches: Sequence[Sequence[PhotoFile]], size: int, workers: int, change: Callable[[int], Change | None]
) -> Iterator[tuple[Photos, list[int]]]:
    """Decode batches like :func:`decode_batches`, and change them in the process that decoded them.

    Args:
        batches: photos, in the order wanted.
        size: side of the results in pixels.
        workers: processes; 0 means one per core.
        change: called in this process with the number of a batch, at most two batches per process ahead; what it
            returns must pickle.

    Yields:
        uint8 (len(batch), size, size, 3) for each batch, in order, and the rows its change left as they were.
    """
    count = min(workers or cores(), len(batches))
    if count <= 1 or sum(map(len, batches)) <= _INLINE:
        for number, batch in enumerate(batches):
            yield _checked(*_decode_batch((batch, size, change(number))))
        return
    work = ((batch, size, change(number)) for number, batch in enumerate(batches))
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=start_worker)
    try:
        for result in in_order(pool, _decode_batch, work, 2 * count):
            yield _checked(*result)
    except BrokenProcessPool:
        raise RunError(
            "A process that decodes photos was killed, perhaps for lack of memory; the same command resumes. "
            "Lower data.workers if it happens again."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _decode_batch(job: tuple[Sequence[PhotoFile], int, Change | None]) -> tuple[Photos, list[int], list[str]]:
    """Decode all photos of a batch; problems are collected, so that one run names them all."""
    batch, size, change = job
    result = np.zeros((len(batch), size, size, 3), np.uint8)
    problems = []
    for row, photo in enumerate(batch):
        try:
            result[row] = decode_photo(photo, size)
        except DataError as error:
            problems.append(str(error))
    if problems or change is None:
        return result, [], problems
    return *change(result), problems


def _checked(photos: Photos, kept: list[int], problems: list[str]) -> tuple[Photos, list[int]]:
    if problems:
        more = f"\nand {len(problems) - _SHOWN} more in this batch" if len(problems) > _SHOWN else ""
        raise DataError(
            "\n".join(problems[:_SHOWN]) + f"{more}\n`aeret data check` lists every broken photo of the collection."
        )
    return photos, kept


def _decode(photo: PhotoFile, size: int, place: str) -> Photos:
    with Image.open(photo.path) as image:
        orientation, (width, height) = upright(image)
        if photo.width and (width, height) != (photo.width, photo.height):
            raise DataError(
                f"{place}: is {width} x {height} pixels (width x height, upright), its record says {photo.width} x "
                f"{photo.height}; correct the record or put the right photo there."
            )
        image.draft(None, (2 * size, 2 * size))
        image.load()
        # Turning the small square equals turning the photo: the filter is the same in both directions.
        square = _plain(image).resize((size, size), Image.Resampling.BICUBIC)
    if orientation in _TURNS:
        square = square.transpose(_TURNS[orientation])
    return np.asarray(square.convert("RGB"))


def upright(image: Image.Image) -> tuple[int, tuple[int, int]]:
    """Return the EXIF orientation that is left to be applied to a photo not yet loaded, and its upright width, height.

    Pillow turns a TIFF itself: its size is that of the upright photo as soon as it is open, its pixels when loaded.
    """
    orientation = 1 if image.format == "TIFF" else image.getexif().get(ORIENTATION, 1)
    return orientation, image.size if orientation not in _ON_ITS_SIDE else image.size[::-1]


def _plain(image: Image.Image) -> Image.Image:
    """Return the photo as RGB, or as 8-bit grey where it is grey."""
    if image.mode in {"L", "RGB"} and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        # "I;16" of PNG, TIFF and JPEG 2000; Pillow opens 16-bit PGM as "I" (32 bits), stretched to 0 ... 65535, and so
        # it does TIFFs of signed or 32-bit numbers, as they are.
        return Image.fromarray(np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255).astype(np.uint8))
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image).convert("RGB")
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGB")


def start_worker() -> None:
    """Leave Ctrl-C to the parent, and die with it: a worker never learns from its queues that the parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            connection.wait([parent.sentinel])
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()
