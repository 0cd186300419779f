"""The paper's "random": subsets drawn at random, many of each size."""

from __future__ import annotations

import numpy as np

from aeret.evaluation.feature_selection.technique import Choice, Effort, Select, Technique
from aeret.rng import generator


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    return lambda count, so_far: np.sort(generator(seed, "subset", count).choice(choice.total, count, replace=False))


RANDOM = Technique("random", "order", "A subset drawn at random, anew for every repetition.", _build, repeated=True)
