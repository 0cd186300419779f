"""List everything wrong with an annotation file and its photos.

The table in :mod:`aeret.data.rules` says what counts as wrong and what happens to it.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from aeret.cores import cores
from aeret.data.coco import CocoFile, Photo, read_coco
from aeret.data.coco_columns import warnings as warnings_of
from aeret.data.photos import BROKEN, ORIENTATION, start_worker, upright
from aeret.data.rules import RULES, Problem, Severity
from aeret.errors import DataError, RunError
from aeret.progress import Progress, silent

_PER_TASK = 64
_INLINE = 256  # photos; starting processes takes as long as decoding about so many


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    rule: str
    """its name in :data:`aeret.data.rules.RULES`"""
    severity: Severity
    """``error``: nothing runs until it is mended; ``warning``: handled by the stated rule"""
    file: str
    where: str
    """the record (``annotation 17``), or where in the file"""
    problem: str
    mend: str


def check(annotations: Path, photo_folder: Path | None, progress: Progress = silent, workers: int = 0) -> list[Finding]:
    """List everything wrong with an annotation file and its photos.

    Args:
        annotations: a COCO annotation file.
        photo_folder: folder of its photos; without it only the file is checked.
        progress: shown for annotations and for photos.
        workers: processes that decode photos; 0 means one per core.

    Returns:
        Findings in the order of the file; every command accepts a collection without an error among them.

    Raises:
        DataError: there is no such file or folder.
        RunError: a process that decodes photos was killed.
    """
    if not annotations.is_file():
        raise DataError(
            f"{annotations} is not a file; expected a COCO annotation file. Correct the path in the manifest."
        )
    if photo_folder is not None and not photo_folder.is_dir():
        raise DataError(
            f"{photo_folder} is not a folder; expected the photos of {annotations}. Correct the path in the manifest."
        )
    findings, file = check_file(annotations, progress)
    if photo_folder is not None:
        findings += check_photos(photo_folder, file.photos, progress, workers)
    return findings


def check_file(annotations: Path, progress: Progress) -> tuple[list[Finding], CocoFile]:
    """List everything wrong with an existing annotation file and return its content."""
    file = read_coco(annotations, progress)
    wrong = {problem.where for problem in file.problems}
    odd = [] if file.columns is None else [each for each in warnings_of(file.columns) if each.where not in wrong]
    return [finding(str(annotations), problem) for problem in [*file.problems, *odd]], file


def finding(file: str, problem: Problem) -> Finding:
    """Return a finding with the severity and fix of its rule."""
    rule = RULES[problem.rule]
    return Finding(problem.rule, rule.severity, file, problem.where, problem.text, rule.mend)


_Photo = tuple[str, str, tuple[int, int] | None]
"""Path, record, and the (height, width) that it gives."""


def check_photos(folder: Path, photos: Sequence[Photo], progress: Progress, workers: int = 0) -> list[Finding]:
    """Decode each photo once and list everything wrong with it."""
    workers = workers or cores()
    first = {photo.file_name: photo for photo in reversed(photos)}
    named = [(str(folder / name), photo.where, photo.size) for name, photo in reversed(first.items())]
    tasks = [named[start : start + _PER_TASK] for start in range(0, len(named), _PER_TASK)]
    findings: list[Finding] = []
    with progress("check photos", len(named), unit="photo") as step:
        if len(named) <= _INLINE or workers == 1:
            for task in tasks:
                findings += _look_at_all(task)
                step(len(task))
            return findings
        pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=start_worker)
        try:
            for task, found in zip(tasks, pool.map(_look_at_all, tasks), strict=True):
                findings += found
                step(len(task))
        except BrokenProcessPool:
            raise RunError(
                "A process that decodes photos was killed, perhaps for lack of memory. Check again with fewer workers."
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return findings


def _look_at_all(photos: Sequence[_Photo]) -> list[Finding]:
    """Return what is wrong with some photos."""
    findings = []
    for path, where, size in photos:
        with warnings.catch_warnings():
            # Damaged EXIF and large photos: decoding goes on after both.
            warnings.simplefilter("ignore")
            problems = _look_at(path, size)
        findings += [finding(path, Problem(rule, where, problem)) for rule, problem in problems]
    return findings


def _look_at(path: str, size: tuple[int, int] | None) -> list[tuple[str, str]]:
    """Return (rule, what is wrong) of one photo, decoded whole."""
    try:
        with Image.open(path) as image:
            orientation = image.getexif().get(ORIENTATION, 1)
            width, height = upright(image)[1]
            mode, transparent = image.mode, "transparency" in image.info
            image.load()
    except FileNotFoundError:
        return [("missing-photo", "there is no such file")]
    except UnidentifiedImageError:
        return [("truncated-photo", "is no image that can be read")]
    except (*BROKEN, Image.DecompressionBombError) as error:
        return [("truncated-photo", f"cannot be decoded to its end ({error})")]
    problems = []
    if size and (height, width) != size:
        problem = f"is {width} x {height} (width x height, upright), its record says {size[1]} x {size[0]}"
        problems.append(("photo-size", problem))
    if transparent or mode in {"RGBA", "LA", "PA", "La", "RGBa"}:
        problems.append(("alpha-photo", f"has an alpha channel ({mode})"))
    elif mode in {"1", "L", "P", "F"} or mode.startswith("I"):
        problems.append(("grey-photo", f"has the mode {mode}"))
    elif mode != "RGB":
        problems.append(("cmyk-photo", f"has the colours {mode}"))
    if orientation in range(2, 9):
        problems.append(("rotated-photo", f"has the EXIF orientation {orientation}"))
    return problems
