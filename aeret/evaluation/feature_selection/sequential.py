"""The paper's "sequential": the first variables as they are stored, for pixels row by row."""

from __future__ import annotations

import numpy as np

from aeret.evaluation.feature_selection.technique import Choice, Effort, Select, Technique


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    return lambda count, so_far: np.arange(count, dtype=np.int64)


SEQUENTIAL = Technique("sequential", "order", "The first variables as they are stored; pixels row by row.", _build)
