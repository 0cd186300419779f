"""A file of the size of COCO val2017, resampled from real annotations at their photos' original size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from aeret.data.rle import decode_strings
from aeret.rng import generator

PHOTOS, POLYGONS, CROWDS = 5_000, 36_335, 446


def write_val_size(data: Path, path: Path, times: int = 1) -> None:
    """Write 5,000 photos with 36,335 polygon annotations and 446 crowds in uncompressed RLE, as in COCO val2017.

    With ``times``, that many times as many of each.

    The polygons are the real ones of ``coco_mix`` (8,644), drawn with replacement and scaled back to the original
    photos, with COCO's two decimals; the crowds are full-size masks of ``voc_masks``. Records have COCO's keys.
    """
    rng = generator(0, "val size")
    polygons, categories = _polygons(data)
    crowds = json.loads((data / "voc_masks" / "instances_fullres.json").read_text())["annotations"][: CROWDS * times]
    images: list[dict[str, Any]] = []
    annotations = []
    sizes = [(480, 640)] * (PHOTOS * times)
    for annotation, photo in zip(crowds, rng.permutation(len(sizes)), strict=False):
        size = annotation["segmentation"]["size"]
        sizes[photo] = tuple(size)
        runs = decode_strings([annotation["segmentation"]["counts"].encode()])[1].tolist()
        mask = {"counts": runs, "size": size}
        record = {"segmentation": mask, "area": annotation["area"], "iscrowd": 1, "bbox": annotation["bbox"]}
        annotations.append(record | {"image_id": int(photo) + 1, "category_id": 1})
    count = POLYGONS * times
    plain = np.flatnonzero([size == (480, 640) for size in sizes])
    for pick, photo in zip(rng.integers(0, len(polygons), count), rng.choice(plain, count), strict=True):
        annotations.append(polygons[pick] | {"image_id": int(photo) + 1})
    for row, (height, width) in enumerate(sizes, 1):
        name = f"{row:012d}.jpg"
        url = f"http://images.cocodataset.org/val2017/{name}"
        flickr = "http://farm7.staticflickr.com/6116/6255196340_da26cf2c9e_z.jpg"
        images.append({"license": 4, "file_name": name, "coco_url": url, "height": height, "width": width})
        images[-1] |= {"date_captured": "2013-11-14 17:02:52", "flickr_url": flickr, "id": row}
    for number, annotation in enumerate(annotations, 1):
        annotation["id"] = number
    content = {"info": {}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}
    # A space after each comma, as in COCO's own files.
    path.write_text(json.dumps(content))


def _polygons(data: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    found = []
    for part in ("train", "val"):
        content = json.loads((data / "coco_mix" / "annotations" / f"instances_{part}.json").read_text())
        photos = {image["id"]: image for image in content["images"]}
        for annotation in content["annotations"]:
            if isinstance(annotation["segmentation"], list):
                photo = photos[annotation["image_id"]]
                scale = (photo["orig_width"] / photo["width"], photo["orig_height"] / photo["height"])
                found.append(
                    {
                        "segmentation": [_scaled(each, scale) for each in annotation["segmentation"]],
                        "area": round(annotation["area"] * scale[0] * scale[1], 5),
                        "iscrowd": 0,
                        "bbox": _scaled(annotation["bbox"], scale),
                        "category_id": annotation["category_id"],
                    }
                )
    return found, content["categories"]


def _scaled(numbers: list[float], scale: tuple[float, float]) -> list[float]:
    return [round(number * scale[place % 2], 2) for place, number in enumerate(numbers)]
