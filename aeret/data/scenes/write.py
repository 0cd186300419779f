"""Write a collection of drawn scenes as COCO-format files."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from aeret.artifacts import write_json, write_text, writing
from aeret.cores import cores
from aeret.data.scenes.objects import CATEGORIES
from aeret.data.scenes.render import draw_scene
from aeret.errors import DataError, UsageError
from aeret.parts import on_processes
from aeret.progress import Progress, silent
from aeret.rng import generator

VERSION = 2
"""Raised whenever the same seed gives other files."""

RECORD = "scenes.json"
_CHUNK = 25
_VALIDATION_EVERY = 5
"""Every fifth photo is in ``val``."""


def generate_scenes(
    folder: Path,
    photos: int,
    seed: int,
    size: tuple[int, int] = (128, 160),
    workers: int = 0,
    progress: Progress = silent,
) -> None:
    """Draw a COCO-format collection of photos and annotations.

    Writes ``images/*.jpg`` and ``annotations/instances_{train,val}.json``. The same arguments give the same bytes for
    any ``workers``. A folder that already holds them is left unchanged; a killed run leaves nothing under the folder's
    name. Every fifth photo is in ``val``. Masks are the visible part of a thing: polygons, compressed RLE if it has
    holes, uncompressed RLE for crowds.

    Args:
        folder: where to.
        photos: how many, at least 10.
        seed: of everything.
        size: smallest and largest longer side of a photo, pixels, 48 to 1024.
        workers: processes; 0 means one per core.
        progress: opens the bar.

    Raises:
        UsageError: an argument is out of range.
        DataError: the folder holds something else.
    """
    if photos < 10:
        raise UsageError(f"photos={photos}: expected at least 10, so that there is something to search.")
    if not 48 <= size[0] <= size[1] <= 1024:
        raise UsageError(
            f"size={size}: expected (smallest, largest) longer side with 48 <= smallest <= largest <= 1024."
        )
    if workers < 0:
        raise UsageError(f"workers={workers}: expected 0 (one per core) or a number of processes.")
    record = {"photos": photos, "seed": seed, "size": list(size), "version": VERSION}
    if folder.exists():
        if _recorded(folder) == record:
            return
        raise DataError(f"{folder}: holds other files; give another folder or delete it first.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with writing(folder) as partial:
        _generate(partial, record, photos, seed, size, workers or cores(), progress)


def _generate(
    folder: Path,
    record: dict[str, Any],
    photos: int,
    seed: int,
    size: tuple[int, int],
    workers: int,
    progress: Progress,
) -> None:
    for left_over in ("images", "annotations"):
        shutil.rmtree(folder / left_over, ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    split: dict[str, dict[str, list[Any]]] = {name: {"images": [], "annotations": []} for name in ("train", "val")}
    with progress("draw scenes", photos, unit="photo") as step:
        for chunk in _draw_all(folder / "images", photos, seed, size, workers):
            for index, image, annotations in chunk:
                part = split["val" if index % _VALIDATION_EVERY == _VALIDATION_EVERY - 1 else "train"]
                part["images"].append(image)
                part["annotations"].extend(annotations)
            step(len(chunk))
    (folder / "annotations").mkdir()
    header = {
        "info": {"description": f"aeret scenes, seed {seed}", "version": str(VERSION)},
        "licenses": [{"id": 1, "name": "MIT", "url": ""}],
        "categories": [
            {"id": category.id, "name": name, "supercategory": category.supercategory}
            for name, category in CATEGORIES.items()
        ],
    }
    for name, part in split.items():
        write_text(folder / "annotations" / f"instances_{name}.json", json.dumps(header | part, separators=(",", ":")))
    write_json(folder / RECORD, record)


_Drawn = tuple[int, dict[str, Any], list[dict[str, Any]]]
_Chunk = tuple[str, int, tuple[int, int], int, int]


def _draw_all(folder: Path, photos: int, seed: int, size: tuple[int, int], workers: int) -> Iterator[list[_Drawn]]:
    """Yield drawn chunks in order; every photo has its own seed, so neither chunks nor workers change a byte."""
    chunks: list[_Chunk] = [
        (str(folder), seed, size, start, min(start + _CHUNK, photos)) for start in range(0, photos, _CHUNK)
    ]
    workers = min(workers, len(chunks))
    if workers <= 1:
        yield from map(_draw_chunk, chunks)
        return
    yield from on_processes(_draw_chunk, chunks, workers)


def _draw_chunk(chunk: _Chunk) -> list[_Drawn]:
    folder, seed, size, start, stop = chunk
    return [_draw_one(Path(folder), seed, index, size) for index in range(start, stop)]


def _draw_one(folder: Path, seed: int, index: int, size: tuple[int, int]) -> _Drawn:
    scene = draw_scene(seed, index, size)
    photo_id = index + 1
    name = f"{photo_id:012d}.jpg"
    sink = io.BytesIO()
    quality = int(generator(seed, "scenes", "jpeg", index).integers(82, 95))
    Image.fromarray(scene.photo).save(sink, "JPEG", quality=quality)
    (folder / name).write_bytes(sink.getvalue())
    height, width = scene.photo.shape[:2]
    image = {"id": photo_id, "file_name": name, "width": width, "height": height, "license": 1, "scene": scene.kind}
    annotations = [
        {"id": photo_id * 100 + number, "image_id": photo_id, **annotation}
        for number, annotation in enumerate(scene.annotations, start=1)
    ]
    return index, image, annotations


def _recorded(folder: Path) -> Any:
    try:
        return json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
