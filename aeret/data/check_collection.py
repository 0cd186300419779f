"""Everything that is wrong with a collection: its files, each by :mod:`aeret.data.check`, and how they go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from aeret.data.check import Finding, check_file, check_photos, finding
from aeret.data.coco import CocoFile
from aeret.data.manifest import SPLITS, Manifest, provide
from aeret.data.rules import Problem
from aeret.data.selection import PAIRS, EmptySplitError, Ids, Rows, listed_ids, overlap, split_rows
from aeret.errors import DataError
from aeret.progress import Progress, silent

_Place = tuple[str, str, str]
"""rule, where, what is wrong"""


@dataclass(frozen=True)
class _Listed:
    """The photos of a file whose records may be broken in other respects."""

    photo_ids: Ids
    file_names: list[str]


def check_manifest(
    manifest: Manifest, photos: bool = True, progress: Progress = silent, workers: int = 0
) -> list[Finding]:
    """List everything wrong with a collection; without an error among it, every command will take it.

    Args:
        manifest: as loaded; a generated collection is drawn first if it is not there.
        photos: whether every photo is decoded, too, which is what takes long.
        progress: shown for annotations and for photos.
        workers: processes that decode photos; 0 means one per core.

    Raises:
        RunError: a process that decodes photos was killed.
    """
    if manifest.generate:
        provide(manifest, workers, progress)
    found: list[Finding] = []
    known: dict[str, CocoFile] = {}
    for name in manifest.used_sources:
        source, where = manifest.sources[name], f"source {name!r}"
        there = source.photos.is_dir()
        if not there:
            found.append(_missing(manifest, source.photos, where, "folder of photos"))
        if not source.annotations.is_file():
            found.append(_missing(manifest, source.annotations, where, "annotation file"))
            continue
        of_file, known[name] = check_file(source.annotations, progress)
        found += of_file
        if photos and there:
            found += check_photos(source.photos, known[name].photos, progress, workers)
    file = str(manifest.path)
    found += [finding(file, Problem(*place)) for place in _categories(manifest, known)]
    found += _subsets(manifest)
    return found + _splits(manifest, known)


def _missing(manifest: Manifest, path: Path, where: str, kind: str) -> Finding:
    found = finding(str(path), Problem("missing-file", where, f"there is no such {kind}"))
    if not manifest.downloads:
        return found
    return Finding(**vars(found) | {"mend": f"run `aeret data fetch {manifest.name}`, or {found.mend}"})


def _categories(manifest: Manifest, known: Mapping[str, CocoFile]) -> Iterator[_Place]:
    """Yield where two sources do not mean the same by an id, or give one name two ids."""
    ids: dict[int, tuple[tuple[str, str], str]] = {}
    names: dict[str, tuple[int, str]] = {}
    for source, file in known.items():
        columns = file.columns or {"category_ids": np.empty(0), "category_names": (), "supercategories": ()}
        names_and_groups = zip(columns["category_names"], columns["supercategories"], strict=True)
        for number, (name, group) in zip(columns["category_ids"].tolist(), names_and_groups, strict=True):
            meaning, first = ids.setdefault(number, ((name, group), source))
            where = f"sources {first!r} and {source!r}"
            if meaning != (name, group):
                problem = (
                    f"category {number} is {meaning[0]!r} of {meaning[1]!r} in one, {name!r} of {group!r} in the other"
                )
                yield "category-conflict", where, problem
                continue
            other, first = names.setdefault(name, (number, source))
            if other != number and first != source:
                where = f"sources {first!r} and {source!r}"
                yield "duplicate-name", where, f"{name!r} is category {other} in one, {number} in the other"


def _subsets(manifest: Manifest) -> list[Finding]:
    found = []
    for name, subset in manifest.subsets.items():
        if not subset.annotations.is_file():
            found.append(_missing(manifest, subset.annotations, f"subset {name!r}", "annotation file"))
            continue
        try:
            listed_ids(subset.annotations)
        except DataError as error:
            found.append(_told(error, subset.annotations, "bad-list", f"subset {name!r}"))
    return found


def _splits(manifest: Manifest, known: Mapping[str, CocoFile]) -> list[Finding]:
    """Return what is wrong with the splits of sources whose photos are all known, by id and by name."""
    photos: dict[str, _Listed] = {}
    for source, file in known.items():
        if file.columns is not None and file.photos_known:
            photos[source] = _Listed(file.columns["photo_ids"], file.columns["file_names"])
    found: list[Finding] = []
    rows: dict[str, Rows] = {}
    for name in SPLITS:
        split, where = manifest.splits[name], f"split {name!r}"
        if split.ids is not None and not split.ids.is_file():
            found.append(_missing(manifest, split.ids, where, "list of photo ids"))
        elif split.source in photos:
            try:
                rows[name] = split_rows(manifest, name, photos)
            except EmptySplitError as error:
                found.append(_told(error, manifest.path, "empty-split", where))
            except DataError as error:
                found.append(_told(error, split.ids or manifest.path, "bad-list", where))
    for pair in PAIRS:
        if rows.keys() >= {*pair} and (problem := overlap(manifest, pair, rows, photos)):
            found.append(_told(problem, manifest.path, "shared-photo", f"splits {pair[0]!r} and {pair[1]!r}"))
    return found


def _told(problem: object, file: Path, rule: str, where: str) -> Finding:
    text = str(problem).removeprefix(f"{file}: ").removeprefix(f"{where} ").rstrip(".")
    return finding(str(file), Problem(rule, where, text))
