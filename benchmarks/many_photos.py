"""Inputs of stages at the size of COCO, made up: a collection, prepared data, untrained networks, random embeddings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from aeret.artifacts import Record, write_json
from aeret.data.masks import MaskPlanes
from aeret.data.prepared import Category
from aeret.embeddings.store import EmbeddingSet
from aeret.rng import generator
from aeret.settings import Settings
from benchmarks.real_labels import CATEGORIES, labels_of, planes_of

_FILES = 300
_ANNOTATIONS = 7.3  # per photo
_POINTS = 33  # per polygon
_NAMED = [Category(number, f"thing {number}", f"group {number % 12}") for number in range(1, CATEGORIES + 1)]

Split = tuple[NDArray[np.bool_], MaskPlanes]
"""Labels bool (n, categories) and masks of the same photos."""


def write_collection(folder: Path, photos: int) -> None:
    """Write a COCO-format collection of ``photos`` records over a few hundred JPEG files, and its manifest."""
    rng = generator(0, "memory")
    (folder / "files").mkdir()
    (folder / "photos").mkdir()
    sizes = [(640, 480) if number % 10 == 0 else (160, 120) for number in range(_FILES)]
    for number, size in enumerate(sizes):
        noise = rng.integers(0, 256, (12, 16, 3), np.uint8)
        picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
        grain = rng.integers(-16, 16, (size[1], size[0], 3))
        Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)).save(
            folder / "files" / f"{number}.jpg", quality=90
        )
    polygons = [_polygon(rng, *sizes[number]) for number in range(_FILES)]
    with (folder / "all.json").open("w") as file:
        file.write('{"images": [')
        for photo in range(photos):
            width, height = sizes[photo % _FILES]
            name = f"{photo:012d}.jpg"
            (folder / "photos" / name).hardlink_to(folder / "files" / f"{photo % _FILES}.jpg")
            file.write(
                f'{"," if photo else ""}\n{{"id":{photo},"file_name":"{name}","width":{width},"height":{height}}}'
            )
        file.write('],\n"annotations": [')
        counts = rng.poisson(_ANNOTATIONS - 1, photos) + 1
        categories = rng.integers(1, CATEGORIES + 1, counts.sum()).tolist()
        owners = np.repeat(np.arange(photos), counts).tolist()
        for number, (photo, category) in enumerate(zip(owners, categories, strict=True)):
            file.write(
                f'{"," if number else ""}\n{{"id":{number},"image_id":{photo},"category_id":{category},"iscrowd":0,'
                f'"area":900.0,"bbox":[0,0,30,30],"segmentation":[{polygons[photo % _FILES]}]}}'
            )
        file.write(f'],\n"categories": {json.dumps([vars(category) for category in _NAMED])}}}\n')
    (folder / "memory.yaml").write_text(
        "name: memory\ndescription: many photos\nsources: {whole: {photos: photos, annotations: all.json}}\n"
        'splits: {train: {source: whole, part: "0:0.9"}, query: {source: whole, part: "0.9:0.95"}, '
        'gallery: {source: whole, part: "0.95:1"}}\n'
    )


def _polygon(rng: np.random.Generator, width: int, height: int) -> str:
    turn = np.sort(rng.random(_POINTS)) * 2 * np.pi
    points = 0.5 + rng.uniform(0.2, 0.5, _POINTS)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return json.dumps(np.round(points * [width, height], 2).ravel().tolist(), separators=(",", ":"))


def plain(photos: int, cells: int) -> Split:
    """Return photos of one category each, its mask empty: for stages that read photos only."""
    labels = np.zeros((photos, CATEGORIES), bool)
    labels[:, 0] = True
    bits = np.zeros((photos, cells * cells // 8), np.uint8)
    return labels, MaskPlanes(cells, CATEGORIES, np.arange(photos + 1), np.zeros(photos, np.int16), bits)


def real(split: str, photos: int, cells: int) -> Split:
    """Return labels and masks of COCO 2017's ``train`` or ``val``, from the first again when there are too few."""
    _, labels = labels_of(split)
    rows = np.arange(photos) % len(labels)
    return labels[rows], planes_of(split, cells).take(rows)


def write_prepared(folder: Path, splits: Mapping[str, Split], side: int) -> None:
    """Write prepared data in which every split is a source of its own; photos are noise, a few hundred in turns."""
    some = generator(0, "photos").integers(0, 256, (_FILES, side, side, 3), np.uint8)
    first = 0
    for name, (labels, planes) in splits.items():
        count = len(labels)
        (folder / name).mkdir(parents=True)
        photos = np.lib.format.open_memmap(folder / name / "photos.npy", "w+", np.uint8, (count, side, side, 3))
        for start in range(0, count, _FILES):
            photos[start : start + _FILES] = some[: count - start]
        del photos
        np.save(folder / name / "labels.npy", np.packbits(labels, axis=1))
        planes.save(folder / name / "masks")
        files = [f"{number:012d}.jpg" for number in range(first, first + count)]
        paths = [f"/photos/of/a/collection/{file}" for file in files]
        columns = {"photo_id": np.arange(first, first + count), "file_name": files, "path": paths}
        pd.DataFrame(columns | {"width": 640, "height": 480, "split": name}).to_parquet(
            folder / name / "photos.parquet"
        )
        first += count
    record = {
        "version": 1,
        "photo_size": side,
        "mask_size": next(iter(splits.values()))[1].size,
        "leave_one_out": False,
        "categories": [vars(category) for category in _NAMED],
        "splits": {name: {"source": name, "start": 0, "stop": len(split[0])} for name, split in splits.items()},
    }
    write_json(folder / "prepared.json", record)


def write_joint(folder: Path, settings: Settings) -> None:
    """Write an untrained joint CNN as ``train-cnn`` does."""
    from aeret.models.joint import JointModel
    from aeret.models.saved_joint import SavedJoint

    latent = settings.autoencoder.latent_size
    model = JointModel(settings.cnn, CATEGORIES, latent, settings.seed)
    SavedJoint.save(folder, model, [category.name for category in _NAMED], latent)


def write_encoder(folder: Path, settings: Settings, queries: int) -> None:
    """Write an untrained mask encoder and random codes of the queries as ``encode-masks`` does."""
    from aeret.data.encodings import mask_encoding
    from aeret.models.autoencoder import build_autoencoder
    from aeret.models.saved import SavedEncoder

    channels = mask_encoding(settings.autoencoder.mask_encoding, _NAMED).channels
    model = build_autoencoder(settings.autoencoder, settings.data.mask_size, channels, settings.seed)
    SavedEncoder.of(model, settings.data.mask_size, _NAMED).save(folder)
    (folder / "codes").mkdir()
    codes = generator(0, "codes").standard_normal((queries, settings.autoencoder.latent_size), np.float32)
    np.save(folder / "codes" / "query.npy", codes)


def write_embeddings(folder: Path, settings: Settings, counts: Mapping[str, int]) -> None:
    """Write random embeddings, codes and label scores of splits of :func:`write_prepared`, as ``embed`` does."""
    rng, first = generator(0, "embeddings"), 0
    widths = {
        "vectors": settings.cnn.embedding_size,
        "codes": settings.autoencoder.latent_size,
        "label_scores": CATEGORIES,
    }
    for name, count in counts.items():
        made = {key: rng.standard_normal((count, width), np.float32) for key, width in widths.items()}
        ids = np.arange(first, first + count)
        files = np.array([f"{number:012d}.jpg" for number in range(first, first + count)])
        EmbeddingSet(made.pop("vectors"), ids, {"file_name": files}, made).save(folder / name)
        first += count


def write_record(folder: Path) -> None:
    """Write the record of an artifact, which the report shows."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "artifact.json", asdict(Record(folder.name, "made up", {}, (), {}, {}, "", 0, "2026-01-01")))
