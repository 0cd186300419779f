"""Pixels from the middle of the picture outwards."""

from __future__ import annotations

import numpy as np

from aeret.errors import UsageError
from aeret.evaluation.feature_selection.technique import Choice, Effort, Select, Technique, by_score


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    if choice.picture is None:
        raise UsageError("centre-out needs variables that are the pixels of a picture; leave it out of the methods.")
    height, width = choice.picture
    rows, columns = np.mgrid[:height, :width]
    distance = (rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2
    return by_score(-distance.ravel())


CENTRE_OUT = Technique(
    "centre-out", "order", "Pixels by their distance from the middle of the picture.", _build, pictures_only=True
)
