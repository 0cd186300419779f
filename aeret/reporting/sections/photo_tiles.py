"""Make the tiles of a query photo and its results, with their masks and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.reporting.inputs import Maps, Split
from aeret.reporting.pictures import Painter, thumbnail
from aeret.reporting.report import Tile

RESULTS = 7
"""Results shown of a query."""


@dataclass(frozen=True)
class TileMaker:
    """Makes the tiles of one strip."""

    names: Sequence[str]
    """Names of the categories."""
    painter: Painter
    side: int
    """Longest side of a thumbnail, pixels."""

    def query(self, split: Split, row: int, mask: NDArray[np.float32]) -> Tile:
        """Return the tile of a query photo with its true mask."""
        shape, text = aspect(split, row), held(split.labels[row], self.names)
        photo = thumbnail(split.photos(np.array([row]))[0], f"query photo: {text}", self.side, shape)
        return Tile(photo, "", "query", self.painter.paint(mask, "true mask of the query", shape))

    def results(self, wanted: NDArray[np.bool_], split: Split, rows: NDArray[np.int64], masks: Maps) -> list[Tile]:
        """Return the tiles of results, each with its label overlap (Jaccard) with the query's labels."""
        tiles = []
        for row, photo, mask in zip(rows.tolist(), split.photos(rows), masks, strict=True):
            labels, shape = split.labels[row], aspect(split, row)
            union = np.count_nonzero(wanted | labels)
            overlap = np.count_nonzero(wanted & labels) / union if union else 0.0
            text = held(labels, self.names) or "no label"
            picture = thumbnail(photo, f"result: {text}", self.side, shape)
            painted = self.painter.paint(mask, "true mask of the result", shape)
            tiles.append(Tile(picture, f"{overlap:.2f}", "relevant" if overlap > 0 else "irrelevant", painted, text))
        return tiles


def held(labels: NDArray[np.bool_], names: Sequence[str], most: int = 3) -> str:
    """Return the names of a photo's labels, bool (categories,), at most ``most`` of them."""
    found = [names[int(category)] for category in np.flatnonzero(labels)]
    return ", ".join(found[:most]) + (f" +{len(found) - most}" if len(found) > most else "")


def aspect(split: Split, row: int) -> float:
    """Return width over height of the original photo."""
    height, width = (int(side) for side in split.sizes[row])
    return width / max(height, 1)
