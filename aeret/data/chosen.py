"""Choose the photos of each source that are prepared, split by split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from aeret.data.categories import merged_categories
from aeret.data.collection import NO_MASK, Collection, read_collection
from aeret.data.manifest import Manifest
from aeret.data.photos import PhotoFile
from aeret.data.prepared import SPLITS, Category
from aeret.data.selection import select_photos, subset_photo_ids
from aeret.data.splits import holdout
from aeret.errors import DataError
from aeret.settings import DataSettings

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ChosenSource:
    """The photos of one source that are prepared."""

    name: str
    photos: Path
    """Folder of its photo files."""
    collection: Collection
    labels: npt.NDArray[np.bool_]
    """bool (all photos of the file, its own categories)."""
    rows: npt.NDArray[np.int64]
    """Rows of the collection in the order of the store: split by split."""
    ranges: dict[str, tuple[int, int]]
    """Split to its rows of the store."""
    unlabelled: npt.NDArray[np.int64]
    """Rows of the collection that a split asked for and that are left out."""
    columns: npt.NDArray[np.int16]
    """Category row of the collection to category of the prepared data."""

    @cached_property
    def files(self) -> list[PhotoFile]:
        """Photo files in the order of the store."""
        read = self.collection
        return [
            PhotoFile(
                f"{self.photos}/{read.file_names[row]}",
                int(read.photo_ids[row]),
                int(read.heights[row]),
                int(read.widths[row]),
            )
            for row in self.rows.tolist()
        ]

    def masked(self, crowd: str) -> npt.NDArray[np.bool_]:
        """Return bool (rows, categories of the file): photos with an annotation of the category that has a mask."""
        read = self.collection
        kept = read.kind != NO_MASK
        if crowd == "skip":
            kept &= ~read.crowd
        pairs = np.zeros(self.labels.shape, np.bool_)
        pairs[read.annotation_photo[kept], read.annotation_category[kept]] = True
        return np.asarray(pairs[self.rows], np.bool_)


@dataclass(frozen=True)
class Chosen:
    """All that is prepared of a manifest."""

    sources: list[ChosenSource]
    categories: tuple[Category, ...]
    leave_one_out: bool
    subsets: Mapping[str, Ids]
    """Subset of the manifest to the ids of its photos."""

    def split(self, name: str) -> tuple[ChosenSource, int, int]:
        """Return the source of a split and the range of its rows in the store."""
        source = next(source for source in self.sources if name in source.ranges)
        return source, *source.ranges[name]


def choose(manifest: Manifest, settings: DataSettings, seed: int) -> Chosen:
    """Read the annotations of a manifest and choose photos.

    Args:
        manifest: as loaded; its files are there.
        settings: what to do with crowds and unlabelled photos, and the share of validation photos.
        seed: of the division of *train* into train and validation.

    Raises:
        DataError: a file is missing or malformed, splits overlap, or a split has no photo left; names file and id.
    """
    collections = {name: read_collection(manifest.sources[name].annotations) for name in manifest.used_sources}
    categories = merged_categories(manifest, collections)
    selection = select_photos(manifest, collections)
    train = collections[manifest.splits.train.source]
    splits = {"query": selection.query, "gallery": selection.gallery} | _divided(train, selection.train, settings, seed)
    sources = [_source(manifest, name, each, splits, categories, settings) for name, each in collections.items()]
    return Chosen(sources, categories, selection.leave_one_out, subset_photo_ids(manifest))


def _divided(train: Collection, rows: Ids, settings: DataSettings, seed: int) -> dict[str, Ids]:
    """Hold out some of the photos that are kept; those that are left out are counted with train."""
    kept = _kept(train.labels(settings.crowd == "include"), settings)[rows]
    chosen = np.zeros(len(rows), np.bool_)
    if kept.any():
        chosen[kept] = holdout(train.photo_ids[rows[kept]], settings.validation_fraction, seed)
    return {"train": rows[~chosen], "validation": rows[chosen]}


def _kept(labels: npt.NDArray[np.bool_], settings: DataSettings) -> npt.NDArray[np.bool_]:
    """Return bool (photos): whether each is kept."""
    return np.asarray(labels.any(axis=1) | (settings.unlabelled == "keep"), np.bool_)


def _source(
    manifest: Manifest,
    name: str,
    collection: Collection,
    splits: Mapping[str, Ids],
    categories: tuple[Category, ...],
    settings: DataSettings,
) -> ChosenSource:
    """Choose the rows of one source, split by split."""
    labels = collection.labels(settings.crowd == "include")
    labelled = _kept(labels, settings)
    ranges: dict[str, tuple[int, int]] = {}
    kept: list[Ids] = []
    left_out: list[Ids] = []
    total = 0
    for split in SPLITS:
        if manifest.splits["train" if split == "validation" else split].source != name:
            continue
        if split == "gallery" and "query" in ranges and np.array_equal(splits["query"], splits["gallery"]):
            ranges["gallery"] = ranges["query"]
            continue
        rows = splits[split][labelled[splits[split]]]
        if not len(rows) and (split != "validation" or settings.validation_fraction):
            raise DataError(
                f"{manifest.path}: split {split!r} has {len(splits[split])} photo(s) of source {name!r}, none of them "
                "with an annotation that is kept; see data.unlabelled and data.crowd."
            )
        ranges[split] = (total, total + len(rows))
        total += len(rows)
        kept.append(rows)
        left_out.append(splits[split][~labelled[splits[split]]])
    place = {category.id: number for number, category in enumerate(categories)}
    return ChosenSource(
        name=name,
        photos=manifest.sources[name].photos,
        collection=collection,
        labels=labels,
        rows=np.concatenate(kept),
        ranges=ranges,
        unlabelled=np.concatenate(left_out),
        columns=np.array([place[number] for number in collection.category_ids.tolist()], np.int16),
    )
