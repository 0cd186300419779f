"""What a collection holds, split by split, and the floors that follow from it before anything is trained.

``pair_base_rate`` is the share of photo pairs that share a category: a ranking that ignores the query is right as
often. ``single_cluster_f`` is the pairwise F of one cluster that holds everything, 2 pi / (1 + pi) with pi the base
rate: recall 1, precision pi. A pairwise F says little unless it stands beside that number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aeret.data.categories import merged_categories
from aeret.data.collection import Collection, read_collection
from aeret.data.manifest import SPLITS, Manifest
from aeret.data.masks import MaskPlanes, rasterise
from aeret.data.prepared import Category
from aeret.data.selection import select_photos, subset_photo_ids
from aeret.progress import Progress, Step, silent

_MASK_SIZE = 32
_BLOCK = 2048


@dataclass(frozen=True)
class CategoryStatistics:
    """One category in one split."""

    name: str
    supercategory: str
    photos: int
    """Photos that have it."""
    share: float
    """Those, as a share of all photos of the split."""
    annotations: int
    """Annotations that are no crowds."""
    mask_share: float
    """Mean share of a photo that its masks cover, over the photos where they cover any cell of a 32 x 32 grid."""


@dataclass(frozen=True)
class SplitStatistics:
    """One split. Crowds count only in ``crowds``."""

    name: str
    photos: int
    unlabelled: int
    """Photos without any annotation that is no crowd."""
    annotations: int
    crowds: int
    labels_per_photo: float
    """Mean number of categories of a labelled photo."""
    annotations_per_photo: float
    """Mean number of annotations of a labelled photo."""
    mask_share: float
    """Mean share of a photo under any mask, on a 32 x 32 grid; all photos."""
    width: int
    """Median, pixels."""
    height: int
    """Median, pixels."""
    pair_base_rate: float
    """Share of the pairs of labelled photos that share a category; 0 where there is no pair."""
    single_cluster_f: float
    categories: tuple[CategoryStatistics, ...]
    """One for each category of all sources (``Statistics.categories`` of them), by id, also where the split's own file
    does not list it; the same in every split."""


@dataclass(frozen=True)
class Statistics:
    """A collection."""

    name: str
    description: str
    licence: str
    categories: int
    supercategories: int
    leave_one_out: bool
    """Query and gallery are the same photos."""
    splits: tuple[SplitStatistics, ...]
    """train, query, gallery, then subsets of the queries as ``query/<name>``; gallery is left out where it is query."""


def statistics(manifest: Manifest, progress: Progress = silent) -> Statistics:
    """Count what the splits of a manifest hold.

    Args:
        manifest: as loaded, its files there.
        progress: opens a bar of photos whose masks are measured.

    Raises:
        DataError: an annotation file is broken, a category id means two things, or the splits overlap.
    """
    collections = {name: read_collection(manifest.sources[name].annotations) for name in manifest.used_sources}
    categories = merged_categories(manifest, collections)
    selection = select_photos(manifest, collections)
    parts = [
        (name, collections[manifest.splits[name].source], selection[name])
        for name in SPLITS
        if not (name == "gallery" and selection.leave_one_out)
    ]
    queries = collections[manifest.splits.query.source]
    for name, ids in subset_photo_ids(manifest).items():
        rows = selection.query[np.isin(queries.photo_ids[selection.query], ids)]
        parts.append((f"query/{name}", queries, rows))
    with progress("measure masks", sum(len(rows) for _, _, rows in parts), unit="photo") as step:
        splits = []
        for name, collection, rows in parts:
            shares = _mask_shares(collection, rows, step)
            splits.append(_split(name, collection, rows, categories, *shares))
    return Statistics(
        name=manifest.name,
        description=manifest.description,
        licence=manifest.licence,
        categories=len(categories),
        supercategories=len({category.supercategory for category in categories}),
        leave_one_out=selection.leave_one_out,
        splits=tuple(splits),
    )


def pair_base_rate(labels: npt.NDArray[np.bool_]) -> float:
    """Return the share of the pairs of photos that share a label, exactly; 0 where there are fewer than two photos.

    Args:
        labels: bool (photos, categories).
    """
    count = len(labels)
    if count < 2:
        return 0.0
    kinds, sizes = np.unique(np.packbits(labels, axis=1), axis=0, return_counts=True)
    sets = np.unpackbits(kinds, axis=1, count=labels.shape[1]).astype(bool)
    return 2 * sharing_pairs(sets, sizes) / (count * (count - 1))


def sharing_pairs(sets: npt.NDArray[np.bool_], sizes: npt.NDArray[np.int64]) -> int:
    """Count the unordered pairs of photos that share a label, exactly.

    Args:
        sets: distinct label sets, bool (k, categories).
        sizes: photos with each set, int64 (k,).
    """
    labels, ordered = sets.astype(np.float32), 0
    for start in range(0, len(labels), _BLOCK):
        shared = labels[start : start + _BLOCK] @ labels.T > 0
        ordered += int(sizes[start : start + _BLOCK] @ (shared @ sizes))
    return (ordered - int(sizes[sets.any(axis=1)].sum())) // 2


def single_cluster_f(base_rate: float) -> float:
    """Return the pairwise F of a single cluster that holds everything, from the share of pairs that belong together."""
    return 2 * base_rate / (1 + base_rate)


def _split(
    name: str,
    collection: Collection,
    rows: npt.NDArray[np.int64],
    categories: tuple[Category, ...],
    mask_share: float,
    category_shares: npt.NDArray[np.float64],
) -> SplitStatistics:
    labels = collection.labels(include_crowd=False)[rows]
    labelled = labels.any(axis=1)
    chosen = np.zeros(len(collection), dtype=bool)
    chosen[rows] = True
    inside = chosen[collection.annotation_photo]
    things = inside & ~collection.crowd
    counts = np.bincount(collection.annotation_category[things], minlength=len(collection.category_ids))
    # By category id: the file has its own order, and may lack some.
    ids = collection.category_ids.tolist()
    photos_with = dict(zip(ids, labels.sum(axis=0).tolist(), strict=True))
    per_category = dict(zip(ids, counts.tolist(), strict=True))
    shares = dict(zip(ids, category_shares.tolist(), strict=True))
    count = int(labelled.sum())
    base_rate = pair_base_rate(labels[labelled])
    return SplitStatistics(
        name=name,
        photos=len(rows),
        unlabelled=len(rows) - count,
        annotations=int(things.sum()),
        crowds=int((inside & collection.crowd).sum()),
        labels_per_photo=float(labels.sum()) / max(count, 1),
        annotations_per_photo=float(things.sum()) / max(count, 1),
        mask_share=mask_share,
        width=int(np.median(collection.widths[rows])) if len(rows) else 0,
        height=int(np.median(collection.heights[rows])) if len(rows) else 0,
        pair_base_rate=base_rate,
        single_cluster_f=single_cluster_f(base_rate),
        categories=tuple(
            CategoryStatistics(
                name=category.name,
                supercategory=category.supercategory,
                photos=photos_with.get(category.id, 0),
                share=photos_with.get(category.id, 0) / max(len(rows), 1),
                annotations=per_category.get(category.id, 0),
                mask_share=shares.get(category.id, 0.0),
            )
            for category in categories
        ),
    )


def _mask_shares(
    collection: Collection, rows: npt.NDArray[np.int64], step: Step
) -> tuple[float, npt.NDArray[np.float64]]:
    """Return the mean share of a photo under any mask, and under each category's where it has one."""
    categories = len(collection.category_ids)
    covered, cells, photos = 0, np.zeros(categories), np.zeros(categories)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        planes = rasterise(collection, block, _MASK_SIZE)
        covered += _cells_under_any(planes)
        cells += np.bincount(planes.category, np.bitwise_count(planes.bits).sum(axis=1), categories)
        photos += np.bincount(planes.category, minlength=categories)
        step(len(block))
    area = _MASK_SIZE**2
    return covered / max(len(rows) * area, 1), cells / np.maximum(photos, 1) / area


def _cells_under_any(planes: MaskPlanes) -> int:
    filled = np.flatnonzero(np.diff(planes.offsets))
    if not len(filled):
        return 0
    union = np.bitwise_or.reduceat(planes.bits, planes.offsets[filled], axis=0)
    return int(np.bitwise_count(union).sum())


_ROWS = (
    ("photos", "photos", "{:,}"),
    ("without a label", "unlabelled", "{:,}"),
    ("annotations", "annotations", "{:,}"),
    ("crowds", "crowds", "{:,}"),
    ("labels per photo", "labels_per_photo", "{:.2f}"),
    ("annotations per photo", "annotations_per_photo", "{:.2f}"),
    ("share under a mask", "mask_share", "{:.3f}"),
    ("median width, px", "width", "{}"),
    ("median height, px", "height", "{}"),
    ("pairs that share a label", "pair_base_rate", "{:.4f}"),
    ("F of one single cluster", "single_cluster_f", "{:.4f}"),
)


def format_statistics(found: Statistics) -> str:
    """Return statistics as plain-text tables: one of the splits, one of the categories (share of photos)."""
    names = [
        "query = gallery" if found.leave_one_out and split.name == "query" else split.name for split in found.splits
    ]
    head = f"{found.name}: {found.description}\nlicence: {found.licence or 'not stated'}\n"
    head += f"{found.categories} categories in {found.supercategories} supercategories\n"
    table = [["", *names]]
    table += [[title, *(form.format(getattr(split, key)) for split in found.splits)] for title, key, form in _ROWS]
    order = sorted(range(found.categories), key=lambda number: -found.splits[0].categories[number].photos)
    listed = [["photos with", *names, "mask share"]]
    for number in order:
        row = [split.categories[number] for split in found.splits]
        shares = [f"{item.photos:,} ({100 * item.share:.1f} %)" for item in row]
        listed.append([row[0].name, *shares, f"{row[0].mask_share:.3f}"])
    note = "Crowds are not counted as labels. Mask share: mean over the train photos that have the category's mask."
    return "\n".join([head, _aligned(table), "", _aligned(listed), "", note])


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
