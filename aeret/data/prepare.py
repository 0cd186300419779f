"""Turn a manifest's JPEG and JSON files into prepared data: select, write photos, write masks, record.

Photos are decoded in parallel processes, masks rasterised on threads, both in parts straight to disk. Memory does not
grow with the number of photos, except for the annotations. A run killed at any moment is continued by the next one on
the same folder, to the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as arrow
import pyarrow.parquet as parquet

from aeret.artifacts import FULL, write_text
from aeret.data.background.removal import SourceRemoval, demand_possible, mean_colour
from aeret.data.background.sheet import write_sheet
from aeret.data.chosen import Chosen, ChosenSource, choose
from aeret.data.collection import NO_MASK
from aeret.data.manifest import Manifest, provide
from aeret.data.mask_store import MaskJob, write_masks
from aeret.data.masks import MaskPlanes
from aeret.data.photo_store import PhotoJob, demand_files, write_photos
from aeret.data.prepared import FLAG, SPLITS, SUBSET, VERSION, Prepared, PreparedFiles
from aeret.data.selection import demand_gallery
from aeret.errors import ResourceError
from aeret.parts import bytes_below, demand_room
from aeret.progress import Progress
from aeret.settings import DataSettings

_SPARE = 16 << 20  # bytes left free on the disk


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
        clusters: of the gallery, which must have at least as many photos.

    Returns:
        Counts for ``artifact.json``: photos per split, and per source what was kept, left out and why.

    Raises:
        DataError: a file is missing or malformed, splits overlap, or a split has no photo left; names file and id.
        UsageError: the gallery has fewer than two photos, or fewer than clusters.
        ResourceError: the disk has too little room.
    """
    provide(manifest, settings.workers, progress)
    chosen = choose(manifest, settings, seed)
    demand_possible(settings, chosen.leave_one_out)
    _, start, stop = chosen.split("gallery")
    demand_gallery(manifest, stop - start, clusters)
    demand_files(photo for source in chosen.sources for photo in source.files)
    files = PreparedFiles(out)
    try:
        _demand_room(files, chosen, settings)
        backgrounds = _write_photos(files, chosen, settings, seed, progress)
        masks = _write_masks(files, chosen, settings, progress)
        return _record(files, chosen, manifest, settings, backgrounds, masks)
    except OSError as error:
        if error.errno in FULL:
            raise ResourceError(f"{out}: the disk is full; free some room, the same command resumes.") from None
        raise


def _demand_room(files: PreparedFiles, chosen: Chosen, settings: DataSettings) -> None:
    """Check that the disk has room for what is still to be written."""
    need = _SPARE
    for source in chosen.sources:
        place, count = files.source(source.name), len(source.rows)
        names = sum(len(source.collection.file_names[row]) for row in source.rows.tolist())
        # A plane is there twice while parts are joined.
        planes = 2 * int(source.masked(settings.crowd).sum()) * (-(-(settings.mask_size**2) // 8) + 2) + 16 * count
        need += max(0, count * 3 * settings.photo_size**2 - bytes_below(place.photos))
        need += max(0, planes - bytes_below(place.masks, place.mask_parts))
        need += count * (-(-source.labels.shape[1] // 8) + 64 + len(str(source.photos))) + 2 * names
    demand_room(
        files.folder,
        need,
        "to prepare the collection",
        "free some, choose another folder with --runs, or lower data.photo_size or data.mask_size.",
    )


def _write_photos(
    files: PreparedFiles, chosen: Chosen, settings: DataSettings, seed: int, progress: Progress
) -> dict[str, dict[str, int]]:
    """Write the photos of all sources; count per source the backgrounds that were removed."""
    removals = _removals(chosen, settings, seed)
    counts: dict[str, dict[str, int]] = {}
    for source in chosen.sources:
        place, removal = files.source(source.name), removals.get(source.name)
        place.folder.mkdir(parents=True, exist_ok=True)
        job = PhotoJob(source.files, settings.photo_size, removal)
        title = f"decode {source.name} photos"
        stayed = write_photos(place.photos, place.photo_parts, job, settings.workers, progress, title)
        counts[source.name] = {}
        if removal is not None:
            removed = int(removal.chosen.sum()) - len(stayed)
            counts[source.name] = {"backgrounds_removed": removed, "backgrounds_not_found": len(stayed)}
    if removals:
        source, start, stop = chosen.split("query")
        photos = np.load(files.source(source.name).photos, mmap_mode="r")
        write_sheet(source.files[start:stop], photos[start:stop], files.sheet)
    return counts


def _removals(chosen: Chosen, settings: DataSettings, seed: int) -> dict[str, SourceRemoval]:
    """Return per source how backgrounds are removed; nothing if they are kept."""
    if settings.background == "keep":
        return {}
    train, start, stop = chosen.split("train")
    colour = mean_colour(train.files[start:stop], settings.workers)
    found = {}
    for source in chosen.sources:
        changed = np.full(len(source.rows), settings.background_splits == "all")
        if "query" in source.ranges:
            changed[slice(*source.ranges["query"])] = True
        found[source.name] = SourceRemoval(settings, seed, colour, source.collection, source.rows, changed)
    return found


def _write_masks(
    files: PreparedFiles, chosen: Chosen, settings: DataSettings, progress: Progress
) -> dict[str, MaskPlanes]:
    """Write the masks of all sources."""
    masks = {}
    for source in chosen.sources:
        place, title = files.source(source.name), f"rasterise {source.name} masks"
        job = MaskJob(
            source.collection,
            source.rows,
            source.columns,
            len(chosen.categories),
            settings.mask_size,
            settings.mask_threshold,
            settings.crowd,
        )
        masks[source.name] = write_masks(place.masks, place.mask_parts, job, settings.workers, progress, title)
    return masks


def _record(
    files: PreparedFiles,
    chosen: Chosen,
    manifest: Manifest,
    settings: DataSettings,
    backgrounds: Mapping[str, Mapping[str, int]],
    masks: Mapping[str, MaskPlanes],
) -> dict[str, Any]:
    """Write labels, tables, the list of what was left out and the record; return the counts."""
    sources = {}
    dropped: list[list[Any]] = [["source", "photo_id", "file_name", "category", "reason"]]
    for source in chosen.sources:
        labels = _spread(source.labels[source.rows], source, chosen)
        np.save(files.source(source.name).labels, np.packbits(labels, axis=1))
        parquet.write_table(_table(source, manifest, chosen), files.source(source.name).table)
        vanished = _spread(source.masked(settings.crowd), source, chosen) & ~_stored(masks[source.name])
        sources[source.name] = _counts(source, labels, settings) | {
            "mask_planes": len(masks[source.name].category),
            "mask_planes_vanished": int(vanished.sum()),
            "labels_per_photo": round(float(labels.sum(axis=1).mean()), 4),
            **backgrounds[source.name],
        }
        dropped += _dropped(source, vanished, chosen)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(dropped)
    write_text(files.dropped, text.getvalue())
    splits = {split: chosen.split(split) for split in SPLITS}
    record = {
        "version": VERSION,
        "manifest": manifest.name,
        "photo_size": settings.photo_size,
        "mask_size": settings.mask_size,
        "mask_threshold": settings.mask_threshold,
        "crowd": settings.crowd,
        "leave_one_out": chosen.leave_one_out,
        "categories": [vars(category) for category in chosen.categories],
        "splits": {
            split: {"source": source.name, "start": start, "stop": stop}
            for split, (source, start, stop) in splits.items()
        },
    }
    Prepared(files.folder, record).save(files.folder)
    source, start, stop = splits["query"]
    queries = source.collection.photo_ids[source.rows[start:stop]]
    subsets = chosen.subsets.items()
    return {
        "photos": {split: stop - start for split, (_, start, stop) in splits.items()},
        "leave_one_out": chosen.leave_one_out,
        "categories": len(chosen.categories),
        "subsets": {n: {"photos_in_file": len(ids), "queries": int(np.isin(queries, ids).sum())} for n, ids in subsets},
        "sources": sources,
        "bytes": sum(path.stat().st_size for path in files.folder.rglob("*") if path.is_file()),
    }


def _spread(pairs: npt.NDArray[np.bool_], source: ChosenSource, chosen: Chosen) -> npt.NDArray[np.bool_]:
    """Return bool (n, categories of the prepared data) of pairs bool (n, categories of the file)."""
    spread = np.zeros((len(pairs), len(chosen.categories)), np.bool_)
    spread[:, source.columns] = pairs
    return spread


def _stored(masks: MaskPlanes) -> npt.NDArray[np.bool_]:
    """Return bool (n, categories): whether the photo has a plane of the category."""
    stored = np.zeros((len(masks), masks.categories), np.bool_)
    stored[np.repeat(np.arange(len(masks)), np.diff(masks.offsets)), np.asarray(masks.category)] = True
    return stored


def _counts(source: ChosenSource, labels: npt.NDArray[np.bool_], settings: DataSettings) -> dict[str, Any]:
    """Count what of a source went in and what did not."""
    read = source.collection
    of_used = np.isin(read.annotation_photo, source.rows)
    skipped = of_used & read.crowd & (settings.crowd == "skip")
    return {
        "photos_in_file": len(read),
        "photos": len(labels),
        "photos_in_no_split": len(read) - len(labels) - len(source.unlabelled),
        "photos_dropped_unlabelled": len(source.unlabelled),
        "annotations": int((of_used & ~skipped).sum()),
        "annotations_without_mask": int((of_used & ~skipped & (read.kind == NO_MASK)).sum()),
        "crowds_skipped": int(skipped.sum()),
    }


def _table(source: ChosenSource, manifest: Manifest, chosen: Chosen) -> Any:
    """Return the table of the photos, one row each."""
    collection, rows = source.collection, source.rows
    photo_ids = collection.photo_ids[rows]
    split = np.empty(len(rows), dtype="<U16")
    for name, (start, stop) in reversed(source.ranges.items()):  # "query" wins over a gallery of the same photos
        split[start:stop] = name
    columns: dict[str, Any] = {
        "photo_id": photo_ids,
        "file_name": [collection.file_names[row] for row in rows.tolist()],
        "path": [file.path for file in source.files],
        "height": collection.heights[rows],
        "width": collection.widths[rows],
        "split": split.tolist(),
    }
    columns |= {FLAG + name: values[rows] for name, values in collection.photo_flags.items()}
    # A subset lists queries; ids of another source may coincide with them.
    if manifest.splits.query.source == source.name:
        columns |= {SUBSET + name: np.isin(photo_ids, ids) for name, ids in chosen.subsets.items()}
    return arrow.table(columns)


def _dropped(source: ChosenSource, vanished: npt.NDArray[np.bool_], chosen: Chosen) -> list[list[Any]]:
    """Return the rows of the list of what was left out of a source."""
    ids, names = source.collection.photo_ids, source.collection.file_names
    reason = "photo without a kept annotation"
    found = [[source.name, ids[row], names[row], "", reason] for row in source.unlabelled.tolist()]
    reason = "mask covers too little of any cell"
    for position, category in np.argwhere(vanished).tolist():
        row = source.rows[position]
        found.append([source.name, ids[row], names[row], chosen.categories[category].name, reason])
    return found
