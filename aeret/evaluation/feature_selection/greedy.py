"""Wrapper, greedy forward: round by round, add the variables that help most beside those chosen already."""

from __future__ import annotations

import numpy as np

from aeret.embeddings.blocks import over_blocks
from aeret.evaluation.feature_selection.technique import Choice, Effort, Rows, Select, Technique


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    def select(count: int, so_far: Rows) -> Rows:
        chosen = so_far.astype(np.int64)
        while len(chosen) < count:
            left = np.setdiff1d(np.arange(choice.total), chosen)
            wanted = min(effort.block, count - len(chosen))
            if wanted == len(left):
                return np.concatenate([chosen, left])

            def work(start: int, stop: int, left: Rows = left, chosen: Rows = chosen) -> list[float]:
                return [choice.score(np.append(chosen, one)) for one in left[start:stop]]

            parts = over_blocks(len(left), 4, work, effort.threads)
            scores = np.array([score for part in parts for score in part])
            chosen = np.concatenate([chosen, left[np.argsort(-scores, kind="stable")[:wanted]]])
        return chosen

    return select


GREEDY = Technique(
    "greedy",
    "wrapper",
    "Forward search: in every round the variables are added that, each beside those chosen already, validate best.",
    _build,
)
