"""Masks at 32 x 32 and 64 x 64, against full-size ``annToMask`` and area resize.

The peer draws each mask at the photo's size with pycocotools and averages it over cells with Pillow's box filter on
bytes (fast, and exact but for pixels that lie across cells). aeret computes the coverage of each cell from the outline
or the runs (``coverage``, a grid a mask); ``planes`` is all of ``rasterise``: coverage, union by category, threshold,
bits, a plane for each category of a photo. With two threads each takes half of the photos, both programs. The
difference is that to pycocotools' masks averaged exactly, in floating point: mean over all cells, and over the cells
that either touches. For RLE it is rounding; for polygons it is that pycocotools rounds outlines to pixels.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aeret.data.collection import Collection, read_collection
from aeret.data.masks import coverage, rasterise
from aeret.rng import generator
from benchmarks.measure import Row, compare, real_data, report, skipped
from benchmarks.real_annotations import write_val_size

SIZES = (32, 64)
SAMPLE = 2_000
PHOTOS = 400


def main() -> list[Row]:
    data = real_data()
    if data is None:
        return [skipped("rasterising", "no real data; set AERET_DATA")]
    with tempfile.TemporaryDirectory(prefix="aeret-raster-") as folder:
        val = Path(folder) / "instances_val.json"
        write_val_size(data, val)
        found: list[Row] = []
        for name, path in (
            ("polygons, 640 x 480", val),
            ("RLE, about 500 x 375", data / "voc_masks" / "instances_fullres.json"),
        ):
            found += rows(name, path)
        return found


def rows(name: str, path: Path) -> list[Row]:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    collection = read_collection(path)
    by_size = [(size, threads) for size in SIZES for threads in (1, 2)]
    return [coverage_row(name, collection, coco, size) for size in SIZES] + [
        planes_row(name, collection, coco, size, threads) for size, threads in by_size
    ]


def coverage_row(name: str, collection: Collection, coco: Any, size: int) -> Row:
    plain = np.flatnonzero(~collection.crowd)
    sample = np.sort(generator(0, "raster").choice(plain, SAMPLE, replace=False))
    annotations: list[dict[str, Any]] = [coco.dataset["annotations"][row] for row in sample]

    def peer() -> object:
        return [resized(coco.annToMask(annotation), size) for annotation in annotations]

    time = compare(lambda: coverage(collection, sample, size), peer, rounds=3)
    own = coverage(collection, sample, size)
    exact = np.stack([averaged(coco.annToMask(each), size) for each in annotations])
    difference = np.abs(own - exact)
    touched = (own > 0) | (exact > 0)
    return {
        "what": f"{name}: coverage at {size}",
        "aeret masks/s": SAMPLE / time.ours,
        "peer masks/s": SAMPLE / time.peer,
        "aeret photos/s": "",
        "peer photos/s": "",
        "ratio": time.ratio,
        "range": f"{time.low:.3g} to {time.high:.3g}",
        "mean difference": float(difference.mean()),
        "in touched cells": float(difference[touched].mean()),
    }


def planes_row(name: str, collection: Collection, coco: Any, size: int, threads: int) -> Row:
    owners = np.unique(collection.annotation_photo[~collection.crowd])
    photos = np.sort(generator(0, "raster photos").choice(owners, PHOTOS, replace=False))
    offsets, by_photo = collection.by_photo()
    masks = int((~collection.crowd[np.isin(collection.annotation_photo, photos)]).sum())

    def ours(part: NDArray[np.int64]) -> object:
        return rasterise(collection, part, size)

    def peer(part: NDArray[np.int64]) -> object:
        planes: dict[tuple[int, int], Any] = {}
        for photo in part:
            for row in by_photo[offsets[photo] : offsets[photo + 1]]:
                each = coco.dataset["annotations"][row]
                if not each["iscrowd"]:
                    key = each["image_id"], each["category_id"]
                    planes[key] = planes.get(key, 0) + resized(coco.annToMask(each), size) / 255
        return {key: np.packbits(mask >= 0.5) for key, mask in planes.items()}

    with ThreadPoolExecutor(threads) as pool:
        parts = np.array_split(photos, threads)
        time = compare(lambda: list(pool.map(ours, parts)), lambda: list(pool.map(peer, parts)), rounds=3)
    return {
        "what": f"{name}: planes at {size}, {threads} thread{'s' * (threads > 1)}",
        "aeret masks/s": masks / time.ours,
        "peer masks/s": masks / time.peer,
        "aeret photos/s": PHOTOS / time.ours,
        "peer photos/s": PHOTOS / time.peer,
        "ratio": time.ratio,
        "range": f"{time.low:.3g} to {time.high:.3g}",
    }


def resized(mask: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(mask * np.uint8(255)).resize((size, size), Image.Resampling.BOX))


def averaged(mask: NDArray[np.uint8], size: int) -> NDArray[np.float64]:
    """Return the exact area average over cells."""
    down, across = (shares(pixels, size) for pixels in mask.shape)
    average: NDArray[np.float64] = down @ mask @ across.T
    return average


def shares(pixels: int, size: int) -> NDArray[np.float64]:
    """Return (size, pixels): the share of each cell that is each pixel's."""
    borders = np.arange(size + 1)[:, None] * pixels / size
    place = np.arange(pixels)
    inside = np.minimum(borders[1:], place + 1) - np.maximum(borders[:-1], place)
    return np.clip(inside, 0, None) * size / pixels


if __name__ == "__main__":
    report(__file__, main())
