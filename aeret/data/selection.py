"""Which photos of its sources a manifest gives to train, query and gallery, and the proof that they do not overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aeret.data.coco import read_photo_ids
from aeret.data.manifest import SPLITS, Manifest, Split
from aeret.errors import DataError, UsageError

Ids = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]

PAIRS = (("train", "query"), ("train", "gallery"), ("query", "gallery"))
"""Splits that share no photo; query and gallery may also be one and the same."""

_SHOWN = 5


class EmptySplitError(DataError):
    """A split has no photo."""


class Photos(Protocol):
    """The photo columns of a source; a :class:`~aeret.data.collection.Collection` is one."""

    @property
    def photo_ids(self) -> Ids:
        """int64 (n,)."""
        ...

    @property
    def file_names(self) -> Sequence[str]:
        """n names, relative to the photo folder."""
        ...


@dataclass(frozen=True)
class Selection:
    """Rows of the source for each split."""

    train: Rows
    query: Rows
    gallery: Rows
    leave_one_out: bool
    """Query and gallery are the same photos; a photo is never its own result."""

    def __getitem__(self, name: str) -> Rows:
        return {"train": self.train, "query": self.query, "gallery": self.gallery}[name]


def select_photos(manifest: Manifest, photos: Mapping[str, Photos]) -> Selection:
    """Return the rows of each split and check that the splits keep apart.

    Args:
        manifest: as loaded.
        photos: source name to its photos, for every name in ``manifest.used_sources``.

    Returns:
        Ascending int64 row numbers into the photos of ``manifest.splits[name].source``.

    Raises:
        DataError: a split is empty, a file of ids names a photo that is not there, or two splits share photos.
    """
    rows = {name: split_rows(manifest, name, photos) for name in SPLITS}
    leave_one_out = one_and_the_same(manifest, rows)
    problems = [text for pair in PAIRS if (text := overlap(manifest, pair, rows, photos))]
    if problems:
        raise DataError("\n".join(problems))
    return Selection(rows["train"], rows["query"], rows["gallery"], leave_one_out)


def one_and_the_same(manifest: Manifest, rows: Mapping[str, Rows]) -> bool:
    """Return whether query and gallery are the same photos."""
    splits = manifest.splits
    return splits.query.source == splits.gallery.source and np.array_equal(rows["query"], rows["gallery"])


def demand_gallery(manifest: Manifest, photos: int, clusters: int) -> None:
    """Refuse a gallery, before the first photo is decoded, that clustering would refuse after the last epoch.

    Raises:
        UsageError: it has fewer than two photos, or fewer than clusters.
    """
    if photos < 2:
        raise UsageError(f"{manifest.path}: the gallery has {photos} photo, a search needs two at least; give it more.")
    if photos < clusters:
        raise UsageError(
            f"{manifest.path}: the gallery has {photos} photos, fewer than evaluation.clusters={clusters}; give it "
            f"more, or have fewer clusters, for example --set evaluation.clusters={max(2, round(photos**0.5))}."
        )


def in_part(photo_ids: Ids, part: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """Return whether each photo's id hashes into ``[from, to)`` of the unit interval.

    The hash (the finaliser of splitmix64, Steele et al. 2014) depends on the id alone, so a photo stays in its part
    when others come or go, and parts that touch share no photo.

    Args:
        photo_ids: int64 (n,).
        part: from and to, in [0, 1].
    """
    with np.errstate(over="ignore"):
        value = photo_ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        value ^= value >> np.uint64(31)
    unit = (value >> np.uint64(11)).astype(np.float64) / 2.0**53
    kept: npt.NDArray[np.bool_] = (unit >= part[0]) & (unit < part[1])
    return kept


def subset_photo_ids(manifest: Manifest) -> dict[str, Ids]:
    """Return, for each subset of the manifest, the sorted ids of the photos that its annotation file lists.

    Raises:
        DataError: a file is missing or is no COCO-format JSON.
    """
    return {name: listed_ids(subset.annotations) for name, subset in manifest.subsets.items()}


def listed_ids(path: Path) -> Ids:
    """Return the sorted ids of the photos that an annotation file lists.

    Raises:
        DataError: it is not an annotation file.
    """
    try:
        ids, problems = read_photo_ids(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    if problems:
        raise DataError(f"{path}: is not a COCO annotation file: {problems[0].where}: {problems[0].text}.")
    return np.unique(np.array(ids, np.int64))


def split_rows(manifest: Manifest, name: str, photos: Mapping[str, Photos]) -> Rows:
    """Return the rows of one split; raise DataError where its list of ids is no such list, or it is empty."""
    split = manifest.splits[name]
    source = photos[split.source]
    ids = np.asarray(source.photo_ids, dtype=np.int64)
    kept = np.ones(len(ids), dtype=bool)
    if split.part is not None:
        kept &= in_part(ids, split.part)
    if split.ids is not None:
        kept &= np.isin(ids, _ids_in_file(split.ids, ids, manifest, split))
    rows: Rows = np.flatnonzero(kept).astype(np.int64)
    if not len(rows):
        raise EmptySplitError(
            f"{manifest.path}: split {name!r} is empty: source {split.source!r} has {len(ids)} photos, of which "
            f"part={split.part} and ids={split.ids} leave none."
        )
    return rows


def _ids_in_file(path: Path, known: Ids, manifest: Manifest, split: Split) -> Ids:
    ids = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is no text; expected photo ids, one a line.") from None
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            ids.append(int(text))
        except ValueError:
            raise DataError(f"{path}:{number}: expected one whole number, a photo id, got {text!r}.") from None
    there = set(known.tolist())
    absent = [number for number in ids if number not in there]
    if absent:
        raise DataError(f"{path}: names photo {_some(absent)}, not in source {split.source!r} of {manifest.path}.")
    return np.array(ids, dtype=np.int64)


def overlap(
    manifest: Manifest, pair: tuple[str, str], rows: Mapping[str, Rows], photos: Mapping[str, Photos]
) -> str | None:
    """Return which photos two splits share, and what to do about it, or None."""
    if pair == ("query", "gallery") and one_and_the_same(manifest, rows):
        return None
    first, second = (photos[manifest.splits[name].source] for name in pair)
    same_source = manifest.splits[pair[0]].source == manifest.splits[pair[1]].source
    problems = []
    if same_source or manifest.identity == "id or file name":
        both = np.intersect1d(
            np.asarray(first.photo_ids)[rows[pair[0]]], np.asarray(second.photo_ids)[rows[pair[1]]]
        ).tolist()
        if both:
            problems.append(f"{len(both)} photo id(s): {_some(both)}")
    names = [{photos[manifest.splits[name].source].file_names[row] for row in rows[name].tolist()} for name in pair]
    shared = sorted(names[0] & names[1])
    if shared:
        problems.append(f"{len(shared)} file name(s): {_some(shared)}")
    if not problems:
        return None
    hint = (
        " If they are different photos that happen to have the same id, say `identity: file name` in the manifest."
        if not shared and not same_source
        else " Give each split photos of its own, for example with `part`."
    )
    return f"{manifest.path}: splits {pair[0]!r} and {pair[1]!r} share {' and '.join(problems)}.{hint}"


def _some(values: Sequence[object]) -> str:
    listed = ", ".join(str(value) for value in values[:_SHOWN])
    return listed + (f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else "")
