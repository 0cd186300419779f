"""Score how well decoded masks satisfy a query's relations, places and sizes.

A compiled layout fixes one position and scale out of many that satisfy a query. This score does not: it reads the
masks decoded from a photo's predicted code as probability maps. For ``A left of B`` the evidence is the probability
that a cell drawn from A's map lies left of a cell drawn from B's; for a place, the share of the map there; for a size,
the map's area. The distance is the sum of negative logs. Counts ("two cars") contribute nothing. Categories that share
a channel (one supercategory) are told apart by their labels alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aeret.retrieval.text.geometry import placed, related
from aeret.retrieval.text.scene import Scene

Floats = NDArray[np.float64]

MOST_CELLS = 32
"""Side to which larger maps are pooled; the tables of cell pairs grow with its fourth power."""
_SHARPNESS = 2.0  # exponent that suppresses low probabilities
_DOUBT = 0.05  # uniform prior mass in cells, so that an empty map is no evidence
_NEAR_CELLS = 0.3  # largest distance between cells that are ``near``
_ON_CELLS = 0.4  # largest drop between cells for ``on``; half of it sideways


def evidence_distances(scene: Scene, maps: NDArray[np.floating], channels: NDArray[np.int64]) -> Floats:
    """Return the distance of each photo's decoded masks to a query, float64 (g,).

    Args:
        scene: the query.
        maps: probabilities, float (g, size, size, channels), or their uint8 form from :func:`quantised_maps`.
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


def quantised_maps(maps: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Pool maps to at most 32 cells a side and store them in steps of 1/255.

    Args:
        maps: probabilities, float (g, size, size, channels).
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
    """Return 1 if the row's cell has the relation to the column's, float32 (cells, cells)."""
    cells = _cells(size)
    if kind in ("left", "right", "above", "below"):
        return related(kind, cells, cells).astype(np.float32)
    # Boxes compare their edges; cells have none, so these compare distances.
    down = cells[None, :, 0] - cells[:, None, 0]
    across = np.abs(cells[None, :, 1] - cells[:, None, 1])
    if kind == "on":
        return ((down >= 0) & (down <= _ON_CELLS) & (across <= _ON_CELLS / 2)).astype(np.float32)
    return (np.hypot(down, across) <= (_NEAR_CELLS / 2 if kind == "in" else _NEAR_CELLS)).astype(np.float32)
