"""Turn a manifest's JPEG and JSON files into the arrays of :mod:`aeret.data.prepared`, once.

Photos are decoded in parallel processes, chunk by chunk, straight to disk; masks are rasterised from their polygons at
the size wanted, block by block on threads. Memory does not grow with the number of photos, but for the annotations
themselves. A run killed at any moment is continued by the next one on the same folder, to the same bytes.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as arrow
import pyarrow.parquet as parquet

from aeret.artifacts import FULL, write_json, write_text
from aeret.data import mask_store, photo_store
from aeret.data.background.removal import SourceRemoval, demand_possible, mean_colour
from aeret.data.background.sheet import write_sheet
from aeret.data.categories import merged_categories
from aeret.data.collection import NO_MASK, Collection, read_collection
from aeret.data.manifest import Manifest, provide
from aeret.data.mask_store import MaskJob
from aeret.data.photos import PhotoFile
from aeret.data.prepared import FLAG, RECORD, SPLITS, SUBSET, VERSION, Category
from aeret.data.selection import demand_gallery, select_photos, subset_photo_ids
from aeret.data.splits import holdout
from aeret.errors import DataError, ResourceError
from aeret.progress import Progress
from aeret.settings import DataSettings

DROPPED = "dropped.csv"
SHEET = "background.png"
_SPARE = 16 << 20  # bytes left free on the disk

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Source:
    """What is prepared of one source."""

    name: str
    photos: Path
    collection: Collection
    labels: npt.NDArray[np.bool_]
    """bool (all photos of the file, its own categories)."""
    rows: Rows
    """Rows of the collection in the order of the store: split by split."""
    ranges: dict[str, tuple[int, int]]
    """Split to its rows of the store."""
    unlabelled: Rows
    """Rows of the collection that a split asked for and that are left out."""
    columns: npt.NDArray[np.int16]
    """Category row of the collection to category of the prepared data."""


def prepare(
    manifest: Manifest, settings: DataSettings, seed: int, out: Path, progress: Progress, clusters: int = 1
) -> dict[str, Any]:
    """Prepare a collection.

    Args:
        manifest: as loaded; a generated collection is drawn first if it is not there.
        settings: sizes, what to do with crowds and unlabelled photos, and how many processes.
        seed: of the division of *train* into train and validation.
        out: an existing folder; may hold what a killed run left.
        progress: opens a bar per source.
        clusters: into which the gallery will be divided; it has to have as many photos.

    Returns:
        Counts for ``artifact.json``: photos per split, and per source what was kept, left out and why.

    Raises:
        DataError: a file is missing or malformed, splits overlap, or a split has no photo left; names file and id.
        UsageError: the gallery has fewer than two photos, or fewer than clusters.
        ResourceError: the disk has not the room.
    """
    provide(manifest, settings.workers, progress)
    collections = {name: read_collection(manifest.sources[name].annotations) for name in manifest.used_sources}
    categories = merged_categories(manifest, collections)
    selection = select_photos(manifest, collections)
    demand_possible(settings, selection.leave_one_out)
    splits = {"query": selection.query, "gallery": selection.gallery} | _divided(
        collections[manifest.splits.train.source], selection.train, settings, seed
    )
    sources = [_source(manifest, name, collections[name], splits, categories, settings) for name in collections]
    masks = (settings.mask_size, settings.mask_threshold, settings.crowd)
    jobs = {each.name: MaskJob(each.collection, each.rows, each.columns, len(categories), *masks) for each in sources}
    del collections
    start, stop = next(source.ranges["gallery"] for source in sources if "gallery" in source.ranges)
    demand_gallery(manifest, stop - start, clusters)
    subsets = subset_photo_ids(manifest)
    photo_store.demand_files(photo for source in sources for photo in _files(source))
    try:
        _demand_room(out, sources, jobs, settings)
        removals = _removals(sources, settings, seed)
        counts = {
            source.name: _write_source(
                source, jobs[source.name], manifest, subsets, settings, out, progress, removals.get(source.name)
            )
            for source in sources
        }
        if removals:
            _write_sheet(sources, out)
        write_text(out / DROPPED, _dropped(sources, counts, categories))
    except OSError as error:
        if error.errno in FULL:
            raise ResourceError(f"{out}: the disk is full; free some room, the same command resumes.") from None
        raise
    ranges = {split: (source, *source.ranges[split]) for source in sources for split in source.ranges}
    write_json(
        out / RECORD,
        {
            "version": VERSION,
            "manifest": manifest.name,
            "photo_size": settings.photo_size,
            "mask_size": settings.mask_size,
            "mask_threshold": settings.mask_threshold,
            "crowd": settings.crowd,
            "leave_one_out": selection.leave_one_out,
            "categories": [vars(category) for category in categories],
            "splits": {
                split: {"source": ranges[split][0].name, "start": ranges[split][1], "stop": ranges[split][2]}
                for split in SPLITS
            },
        },
    )
    for source in sources:
        photo_store.finish(out / source.name)
        mask_store.finish(out / source.name)
    for count in counts.values():
        del count["vanished"]
    source, start, stop = ranges["query"]
    queries = source.collection.photo_ids[source.rows[start:stop]]
    return {
        "photos": {split: ranges[split][2] - ranges[split][1] for split in SPLITS},
        "leave_one_out": selection.leave_one_out,
        "categories": len(categories),
        "subsets": {
            name: {"photos_in_file": len(ids), "queries": int(np.isin(queries, ids).sum())}
            for name, ids in subsets.items()
        },
        "sources": counts,
        "bytes": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
    }


def _divided(train: Collection, rows: Rows, settings: DataSettings, seed: int) -> dict[str, Rows]:
    """Hold out some of the photos that are kept; those that are left out are counted with train."""
    kept = _kept(train.labels(settings.crowd == "include"), settings)[rows]
    chosen = np.zeros(len(rows), np.bool_)
    if kept.any():
        chosen[kept] = holdout(train.photo_ids[rows[kept]], settings.validation_fraction, seed)
    return {"train": rows[~chosen], "validation": rows[chosen]}


def _kept(labels: npt.NDArray[np.bool_], settings: DataSettings) -> npt.NDArray[np.bool_]:
    """Return bool (photos): which are not left out."""
    return np.asarray(labels.any(axis=1) | (settings.unlabelled == "keep"), np.bool_)


def _source(
    manifest: Manifest,
    name: str,
    collection: Collection,
    splits: Mapping[str, Rows],
    categories: tuple[Category, ...],
    settings: DataSettings,
) -> _Source:
    """Choose the rows of one source, split by split; leave out what the settings say."""
    labels = collection.labels(settings.crowd == "include")
    labelled = _kept(labels, settings)
    ranges: dict[str, tuple[int, int]] = {}
    parts: list[Rows] = []
    left_out: list[Rows] = []
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
        parts.append(rows)
        left_out.append(splits[split][~labelled[splits[split]]])
    place = {category.id: number for number, category in enumerate(categories)}
    return _Source(
        name=name,
        photos=manifest.sources[name].photos,
        collection=collection,
        labels=labels,
        rows=np.concatenate(parts),
        ranges=ranges,
        unlabelled=np.concatenate(left_out),
        columns=np.array([place[number] for number in collection.category_ids.tolist()], np.int16),
    )


def _files(source: _Source) -> list[PhotoFile]:
    collection = source.collection
    return [
        PhotoFile(
            f"{source.photos}/{collection.file_names[row]}",
            int(collection.photo_ids[row]),
            int(collection.heights[row]),
            int(collection.widths[row]),
        )
        for row in source.rows.tolist()
    ]


def _removals(sources: list[_Source], settings: DataSettings, seed: int) -> dict[str, SourceRemoval]:
    """Return what is done to the backgrounds of each source; nothing where they are kept."""
    if settings.background == "keep":
        return {}
    train = next(source for source in sources if "train" in source.ranges)
    start, stop = train.ranges["train"]
    colour = mean_colour(_files(train)[start:stop], settings.workers)
    found = {}
    for source in sources:
        chosen = np.full(len(source.rows), settings.background_splits == "all")
        if "query" in source.ranges:
            chosen[slice(*source.ranges["query"])] = True
        found[source.name] = SourceRemoval(settings, seed, colour, source.collection, source.rows, chosen)
    return found


def _write_sheet(sources: list[_Source], out: Path) -> None:
    source = next(source for source in sources if "query" in source.ranges)
    rows = slice(*source.ranges["query"])
    write_sheet(_files(source)[rows], np.load(out / source.name / photo_store.FILE, mmap_mode="r")[rows], out / SHEET)


def _masked_pairs(source: _Source, settings: DataSettings) -> npt.NDArray[np.bool_]:
    """Return bool (rows, categories of the file): photos that have an annotation of the category with a mask."""
    collection = source.collection
    kept = collection.kind != NO_MASK
    if settings.crowd == "skip":
        kept &= ~collection.crowd
    pairs = np.zeros(source.labels.shape, np.bool_)
    pairs[collection.annotation_photo[kept], collection.annotation_category[kept]] = True
    return np.asarray(pairs[source.rows], np.bool_)


def _demand_room(out: Path, sources: list[_Source], jobs: Mapping[str, MaskJob], settings: DataSettings) -> None:
    """Check that the disk can hold what is still to be written."""
    need = _SPARE
    for source in sources:
        count = len(source.rows)
        planes = int(_masked_pairs(source, settings).sum())
        names = sum(len(source.collection.file_names[row]) for row in source.rows.tolist())
        need += count * 3 * settings.photo_size**2 - photo_store.bytes_on_disk(out / source.name)
        need += mask_store.bytes_needed(out / source.name, jobs[source.name], planes)
        need += count * (-(-source.labels.shape[1] // 8) + 64 + len(str(source.photos))) + 2 * names
    free = shutil.disk_usage(out).free
    if need > free:
        raise ResourceError(
            f"{out}: preparing needs {_size(need)} of disk, {_size(free)} are free. Free some room, choose another "
            "folder with --runs, or lower data.photo_size or data.mask_size."
        )


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _write_source(
    source: _Source,
    job: MaskJob,
    manifest: Manifest,
    subsets: Mapping[str, npt.NDArray[np.int64]],
    settings: DataSettings,
    out: Path,
    progress: Progress,
    removal: SourceRemoval | None,
) -> dict[str, Any]:
    """Write one source's folder and count what went in and what did not."""
    folder = out / source.name
    folder.mkdir(parents=True, exist_ok=True)
    collection, rows = source.collection, source.rows
    files = _files(source)
    stayed = photo_store.write_photos(
        folder, files, settings.photo_size, settings.workers, progress, f"decode {source.name} photos", removal
    )
    backgrounds = {}
    if removal is not None:
        backgrounds["backgrounds_removed"] = int(removal.chosen.sum()) - len(stayed)
        backgrounds["backgrounds_not_found"] = len(stayed)
    labels = np.zeros((len(rows), job.categories), np.bool_)
    labels[:, source.columns] = source.labels[rows]
    np.save(folder / "labels.npy", np.packbits(labels, axis=1))
    _write_table(folder / "photos.parquet", source, files, manifest, subsets)
    planes = mask_store.write_masks(folder, job, settings.workers, progress, f"rasterise {source.name} masks")

    masked = np.zeros_like(labels)
    masked[:, source.columns] = _masked_pairs(source, settings)
    stored = np.zeros_like(labels)
    stored[np.repeat(np.arange(len(rows)), np.diff(planes.offsets)), np.asarray(planes.category)] = True
    vanished = masked & ~stored
    of_used = np.isin(collection.annotation_photo, rows)
    skipped = of_used & collection.crowd & (settings.crowd == "skip")
    return {
        "photos_in_file": len(collection),
        "photos": len(rows),
        "photos_in_no_split": len(collection) - len(rows) - len(source.unlabelled),
        "photos_dropped_unlabelled": len(source.unlabelled),
        "annotations": int((of_used & ~skipped).sum()),
        "annotations_without_mask": int((of_used & ~skipped & (collection.kind == NO_MASK)).sum()),
        "crowds_skipped": int(skipped.sum()),
        "mask_planes": len(planes.category),
        "mask_planes_vanished": int(vanished.sum()),
        "labels_per_photo": round(float(labels.sum(axis=1).mean()), 4),
        "vanished": np.argwhere(vanished),
        **backgrounds,
    }


def _write_table(
    path: Path,
    source: _Source,
    files: list[PhotoFile],
    manifest: Manifest,
    subsets: Mapping[str, npt.NDArray[np.int64]],
) -> None:
    collection, rows = source.collection, source.rows
    photo_ids = collection.photo_ids[rows]
    split = np.empty(len(rows), dtype="<U16")
    for name, (start, stop) in reversed(source.ranges.items()):  # "query" wins over a gallery of the same photos
        split[start:stop] = name
    columns: dict[str, Any] = {
        "photo_id": photo_ids,
        "file_name": [collection.file_names[row] for row in rows.tolist()],
        "path": [file.path for file in files],
        "height": collection.heights[rows],
        "width": collection.widths[rows],
        "split": split.tolist(),
    }
    columns |= {FLAG + name: values[rows] for name, values in collection.photo_flags.items()}
    # A subset lists queries; ids of another source may coincide with them.
    if manifest.splits.query.source == source.name:
        columns |= {SUBSET + name: np.isin(photo_ids, ids) for name, ids in subsets.items()}
    parquet.write_table(arrow.table(columns), path)


def _dropped(sources: list[_Source], counts: Mapping[str, Mapping[str, Any]], categories: tuple[Category, ...]) -> str:
    """Return the list of what was left out, as CSV."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["source", "photo_id", "file_name", "category", "reason"])
    for source in sources:
        ids, names = source.collection.photo_ids, source.collection.file_names
        for row in source.unlabelled.tolist():
            table.writerow([source.name, ids[row], names[row], "", "photo without a kept annotation"])
        for position, category in counts[source.name]["vanished"].tolist():
            row = source.rows[position]
            table.writerow(
                [source.name, ids[row], names[row], categories[category].name, "mask covers too little of any cell"]
            )
    return text.getvalue()
