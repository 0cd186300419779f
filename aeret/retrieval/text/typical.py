"""Learn the typical size and position of each category from the train split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.retrieval.text.geometry import areas
from aeret.retrieval.text.things import Things

FEWEST = 5
"""Categories with fewer things use the statistics of all categories together."""
SMALL, BIG = 0.25, 0.75
"""Area quantiles below which a thing is small and above which it is big."""
_DEFAULT = (0.3, 0.3, 0.5, 0.5)


@dataclass(frozen=True)
class Typical:
    """Size and position statistics, one row per category."""

    sizes: NDArray[np.float64]
    """Median height and width, relative to the photo, float64 (c, 2)."""
    centres: NDArray[np.float64]
    """Median centre, y and x, float64 (c, 2)."""
    small: NDArray[np.float64]
    """Largest area of a small thing, float64 (c,)."""
    big: NDArray[np.float64]
    """Smallest area of a big thing, float64 (c,)."""


def typical_of(things: Things, categories: int) -> Typical:
    """Compute the statistics of ``categories`` categories from the train split's things."""
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
