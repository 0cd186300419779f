"""The true label sets and boxes of all of COCO 2017, and mask planes drawn from the boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aeret.data.masks import MaskPlanes
from benchmarks.measure import real_data

CATEGORIES = 80
_CHUNK = 20_000


def folder() -> Path | None:
    """Return where the label files are, if they are there."""
    data = real_data()
    return data / "coco2017_labels" if data is not None and (data / "coco2017_labels").is_dir() else None


def labels_of(split: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return photo ids int64 (n,) and labels bool (n, 80) of ``train`` or ``val``."""
    ids, rows, columns, _ = _boxes(split)
    labels = np.zeros((len(ids), CATEGORIES), bool)
    labels[rows, columns] = True
    return ids, labels


def planes_of(split: str, size: int = 32) -> MaskPlanes:
    """Return mask planes in which every box is filled: the number and size of real ones, if not their shape."""
    ids, rows, columns, boxes = _boxes(split)
    present = np.zeros((len(ids), CATEGORIES), bool)
    present[rows, columns] = True
    offsets = np.concatenate([[0], np.cumsum(present.sum(axis=1))]).astype(np.int64)
    photo, category = np.nonzero(present)
    place = np.full(present.shape, -1, np.int64)
    place[photo, category] = np.arange(len(photo))
    bits = np.zeros((len(photo), size * size // 8), np.uint8)
    corner = np.clip((boxes[:, :2] - boxes[:, 2:] / 2) * size, 0, size - 1).astype(np.int64)
    end = np.clip(np.ceil((boxes[:, :2] + boxes[:, 2:] / 2) * size), 1, size).astype(np.int64)
    cells = np.arange(size)
    for start in range(0, len(boxes), _CHUNK):
        part = slice(start, start + _CHUNK)
        x, y = ((cells >= corner[part, i, None]) & (cells < end[part, i, None]) for i in (0, 1))
        filled = (y[:, :, None] & x[:, None, :]).reshape(len(x), -1)
        np.bitwise_or.at(bits, place[rows[part], columns[part]], np.packbits(filled, axis=1))
    return MaskPlanes(size, CATEGORIES, offsets, category.astype(np.int16), bits)


def _boxes(split: str) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    where = folder()
    if where is None:
        raise FileNotFoundError("no coco2017_labels in AERET_DATA")
    with np.load(where / f"coco2017_{split}_boxes.npz") as file:
        photo, category, boxes = file["image_id"], file["category_id"], file["cxcywh_u16"] / 65535
    with np.load(where / "coco2017_train_boxes.npz") as file:
        known = np.unique(file["category_id"])
    ids, rows = np.unique(photo, return_inverse=True)
    return ids.astype(np.int64), rows, np.searchsorted(known, category), boxes
