"""What decoded masks say about a query's relations, places and sizes, whatever the exact spot and scale.

A compiled layout is one of endlessly many that fit a query; most photos that fit it look otherwise. Here the masks
decoded from a photo's predicted code are asked directly. Each map, squared so that faint doubts weigh little, counts as
the chance that its thing is at a cell. For ``A left of B`` the evidence is the chance that a cell drawn from A's map
and one drawn from B's have the relation; for a place the share of the map that is there; for a size the map's area.
The distance is the sum of minus the logs. A number ("two cars") has no evidence. Categories that share a channel (of
one supercategory) cannot be told apart by it: their labels do that.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aeret.retrieval.text.geometry import placed, related
from aeret.retrieval.text.scene import Scene

Floats = NDArray[np.float64]

MOST_CELLS = 32
"""Larger maps are averaged down to this side: the tables of cell pairs have its fourth power of entries."""
_SHARPNESS = 2.0
_DOUBT = 0.05
"""Cells' worth of mass spread evenly: a map of nothing is no evidence for anything."""
_REACH = 0.3
"""``near``, for cells: their distance, which for boxes is that of the edges."""
_UNDER = 0.4
"""``on``, for cells: how far A's may be above B's; and half of it how far to a side."""


def evidence_distances(scene: Scene, maps: NDArray[np.floating], channels: NDArray[np.int64]) -> Floats:
    """Return the distance of each photo's decoded masks to a query, float64 (g,).

    Args:
        scene: the query.
        maps: shares in [0, 1], float (g, size, size, channels), or what :func:`kept_maps` made of them.
        channels: channel of each category, int64 (categories,).
    """
    used = sorted({int(channels[thing.category]) for thing in scene.things})
    small = np.asarray(maps[..., used], np.float32)
    small = small / np.float32(255) if maps.dtype == np.uint8 else _pooled(small)
    size = small.shape[1]
    flat = {
        channel: np.ascontiguousarray(small[..., number].reshape(len(small), -1) ** _SHARPNESS)
        for number, channel in enumerate(used)
    }
    of = [flat[int(channels[thing.category])] for thing in scene.things]
    mass = [np.asarray(each.sum(axis=1), np.float64) for each in of]
    total = np.zeros(len(maps))
    for number, thing in enumerate(scene.things):
        for place in thing.places:
            there = _cells_at(place, size)
            share = there.mean()
            total -= np.log((of[number] @ there + _DOUBT * share) / (mass[number] + _DOUBT))
        if thing.size:
            area = np.log(mass[number] + _DOUBT)
            total += area if thing.size == "small" else -area
    for relation in scene.relations:
        table = _pairs(relation.kind, size)
        first, second = relation.first, relation.second
        joint = np.einsum("gi,gi->g", of[first] @ table, of[second], dtype=np.float64)
        doubt = _DOUBT**2
        total -= np.log((joint + doubt * float(table.mean())) / (mass[first] * mass[second] + doubt))
    return total


def kept_maps(maps: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return maps as they are kept for many queries: at most 32 cells a side, shares in steps of 1/255.

    Args:
        maps: shares in [0, 1], float (g, size, size, channels).
    """
    return np.round(np.clip(_pooled(np.asarray(maps, np.float32)), 0, 1) * 255).astype(np.uint8)


def _pooled(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    photos, size, _, channels = maps.shape
    factor = -(-size // MOST_CELLS)
    if factor == 1:
        return maps
    rest = -size % factor
    whole = np.pad(maps, ((0, 0), (0, rest), (0, rest), (0, 0)))
    side = (size + rest) // factor
    pooled = whole.reshape(photos, side, factor, side, factor, channels).mean(axis=(2, 4))
    return np.asarray(pooled, np.float32)


def _cells(size: int) -> NDArray[np.float64]:
    """Return cells as boxes, float64 (size * size, 4)."""
    y, x = np.indices((size, size)).reshape(2, -1) / size
    return np.stack([y, x, y + 1 / size, x + 1 / size], axis=1)


@lru_cache(maxsize=64)
def _cells_at(place: str, size: int) -> NDArray[np.float32]:
    return placed(place, _cells(size)).astype(np.float32)


@lru_cache(maxsize=16)
def _pairs(kind: str, size: int) -> NDArray[np.float32]:
    """Return 1 where the row's cell has the relation to the column's, float32 (cells, cells)."""
    cells = _cells(size)
    if kind in ("left", "right", "above", "below"):
        return related(kind, cells, cells).astype(np.float32)
    # Of boxes these are about edges; of cells, about how far apart they are.
    down = cells[None, :, 0] - cells[:, None, 0]
    across = np.abs(cells[None, :, 1] - cells[:, None, 1])
    if kind == "on":
        return ((down >= 0) & (down <= _UNDER) & (across <= _UNDER / 2)).astype(np.float32)
    return (np.hypot(down, across) <= (_REACH / 2 if kind == "in" else _REACH)).astype(np.float32)
