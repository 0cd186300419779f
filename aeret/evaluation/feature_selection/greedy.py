"""Add, round by round, the variables that validate best beside those chosen already."""

from __future__ import annotations

import numpy as np

from aeret.evaluation.feature_selection.technique import Choice, Chosen, Effort, Select, Technique
from aeret.parts import on_threads


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    def select(count: int, so_far: Chosen) -> Chosen:
        chosen = so_far.astype(np.int64)
        while len(chosen) < count:
            left = np.setdiff1d(np.arange(choice.total), chosen)
            wanted = min(effort.block, count - len(chosen))
            if wanted == len(left):
                return np.concatenate([chosen, left])
            subsets = [np.append(chosen, one) for one in left]
            scores = np.array(list(on_threads(choice.score, subsets, effort.threads)))
            chosen = np.concatenate([chosen, left[np.argsort(-scores, kind="stable")[:wanted]]])
        return chosen

    return select


GREEDY = Technique(
    "greedy",
    "wrapper",
    "Forward search: in every round the variables are added that, each beside those chosen already, validate best.",
    _build,
)
