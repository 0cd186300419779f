"""Masks at 32 x 32, against full-size ``annToMask`` and area resize.

The peer draws each mask at the photo's size with pycocotools and averages it over cells with Pillow's box filter on
bytes (fast, and exact but for pixels that lie across cells). aeret computes the coverage of each cell from the outline
or the runs (``coverage``); ``planes`` is all of ``rasterise``: coverage, union by category, threshold, bits. One thread
both. The difference is that to pycocotools' masks averaged exactly, in floating point: mean over all cells, and over
the cells that either touches. For RLE it is rounding; for polygons it is that pycocotools rounds outlines to pixels.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aeret.data.collection import read_collection
from aeret.data.masks import coverage, rasterise
from aeret.rng import generator
from benchmarks.measure import Row, compare, real_data, report, skipped
from benchmarks.real_annotations import write_val_size

SIZE = 32
SAMPLE = 2_000


def main() -> list[Row]:
    data = real_data()
    if data is None:
        return [skipped("rasterising", "no real data; set AERET_DATA")]
    with tempfile.TemporaryDirectory(prefix="aeret-raster-") as folder:
        val = Path(folder) / "instances_val.json"
        write_val_size(data, val)
        return [
            *rows("polygons, 640 x 480", val),
            *rows("RLE, about 500 x 375", data / "voc_masks" / "instances_fullres.json"),
        ]


def rows(name: str, path: Path) -> list[Row]:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    collection = read_collection(path)
    plain = np.flatnonzero(~collection.crowd)
    sample = np.sort(generator(0, "raster").choice(plain, SAMPLE, replace=False))
    annotations: list[dict[str, Any]] = [coco.dataset["annotations"][row] for row in sample]

    def peer() -> object:
        return [_resized(Image.fromarray(coco.annToMask(annotation) * np.uint8(255))) for annotation in annotations]

    time = compare(lambda: coverage(collection, sample, SIZE), peer, rounds=3)
    own = coverage(collection, sample, SIZE)
    exact = np.stack([_averaged(coco.annToMask(each)) for each in annotations])
    difference = np.abs(own - exact)
    touched = (own > 0) | (exact > 0)
    photos = np.unique(collection.annotation_photo[sample])[:200]
    inside = np.flatnonzero(np.isin(collection.annotation_photo, photos) & ~collection.crowd)
    of_photos = [coco.dataset["annotations"][row] for row in inside]

    def peer_planes() -> object:
        planes: dict[tuple[int, int], Any] = {}
        for each in of_photos:
            mask = _resized(Image.fromarray(coco.annToMask(each) * np.uint8(255))) / 255
            key = each["image_id"], each["category_id"]
            planes[key] = planes.get(key, 0) + mask
        return {key: np.packbits(mask >= 0.5) for key, mask in planes.items()}

    whole = compare(lambda: rasterise(collection, photos, SIZE), peer_planes, rounds=3)
    return [
        {
            "what": f"{name}: coverage",
            "aeret masks/s": SAMPLE / time.ours,
            "peer masks/s": SAMPLE / time.peer,
            "ratio": time.ratio,
            "range": f"{time.low:.3g} to {time.high:.3g}",
            "mean difference": float(difference.mean()),
            "in touched cells": float(difference[touched].mean()),
        },
        {
            "what": f"{name}: planes",
            "aeret masks/s": len(inside) / whole.ours,
            "peer masks/s": len(inside) / whole.peer,
            "ratio": whole.ratio,
            "range": f"{whole.low:.3g} to {whole.high:.3g}",
        },
    ]


def _resized(image: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BOX))


def _averaged(mask: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the exact area average over cells."""
    down, across = (_shares(pixels) for pixels in mask.shape)
    return down @ mask @ across.T


def _shares(pixels: int) -> np.ndarray[Any, Any]:
    """Return (SIZE, pixels): the share of each cell that is each pixel's."""
    borders = np.arange(SIZE + 1)[:, None] * pixels / SIZE
    place = np.arange(pixels)
    inside = np.minimum(borders[1:], place + 1) - np.maximum(borders[:-1], place)
    return np.clip(inside, 0, None) * SIZE / pixels


if __name__ == "__main__":
    report(__file__, main())
