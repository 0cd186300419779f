"""Order variables without a look at the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.evaluation.feature_selection.technique import Choice, Effort, Select, Technique, scored
from aeret.rng import generator


def _near_the_middle(choice: Choice) -> NDArray[np.float64]:
    if choice.picture is None:
        raise UsageError("centre-out needs variables that are the pixels of a picture; leave it out of the methods.")
    height, width = choice.picture
    rows, columns = np.mgrid[:height, :width]
    return np.asarray(-((rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2).ravel())


def _drawn(choice: Choice, effort: Effort, seed: int) -> Select:
    return lambda count, so_far: np.sort(generator(seed, "subset", count).choice(choice.total, count, replace=False))


SEQUENTIAL = scored(
    "sequential",
    "order",
    "The first variables as they are stored; pixels row by row.",
    lambda choice: np.zeros(choice.total),
)
RANDOM = Technique("random", "order", "A subset drawn at random, anew for every repetition.", _drawn, repeated=True)
CENTRE_OUT = scored(
    "centre-out",
    "order",
    "Pixels by their distance from the middle of the picture.",
    _near_the_middle,
    pictures_only=True,
)
