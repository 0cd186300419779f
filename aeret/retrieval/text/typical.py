"""How large the things of a category usually are and where they usually lie, learnt from the train split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.retrieval.text.geometry import areas
from aeret.retrieval.text.things import Things

FEWEST = 5
"""Things of a category below which the figures of all categories together stand in."""
SMALL, BIG = 0.25, 0.75
"""Quantiles of a category's areas that part the small and the big ones from the rest."""
_DEFAULT = (0.3, 0.3, 0.5, 0.5)


@dataclass(frozen=True)
class Typical:
    """Figures of each category, a row each."""

    sizes: NDArray[np.float64]
    """Median height and width, shares of the photo, float64 (c, 2)."""
    centres: NDArray[np.float64]
    """Median centre, y and x, float64 (c, 2)."""
    small: NDArray[np.float64]
    """Area up to which a thing is small, float64 (c,)."""
    big: NDArray[np.float64]
    """Area from which on a thing is big, float64 (c,)."""


def typical_of(things: Things, categories: int) -> Typical:
    """Learn the figures; a category of fewer than five things has those of all things.

    Args:
        things: of the train split.
        categories: how many there are.
    """
    everything = _figures(things.boxes) if len(things.boxes) else (*_DEFAULT, 0.04, 0.16)
    rows = [
        _figures(boxes) if len(boxes := things.boxes[things.category == row]) >= FEWEST else everything
        for row in range(categories)
    ]
    table = np.array(rows, np.float64).reshape(categories, 6)
    return Typical(table[:, :2], table[:, 2:4], table[:, 4], table[:, 5])


def _figures(boxes: NDArray[np.float32]) -> tuple[float, ...]:
    size, centre = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
    median = np.median(np.concatenate([size, centre], axis=1), axis=0)
    return (*median.tolist(), *np.quantile(areas(boxes), [SMALL, BIG]).tolist())
