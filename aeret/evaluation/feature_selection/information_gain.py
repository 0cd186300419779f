"""Filter by information gain: how much a variable, in bins, says about the labels.

``Gain(A) = H(y) - sum_v |X_v| / |X| H(y | X_v)`` in bits. Where an example may have several labels, each label is a
question of its own, with or without, and the gains are added up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.feature_selection.binned import Counts, tables
from aeret.evaluation.feature_selection.technique import Choice, Effort, Select, Technique, by_score


def information_gain(sizes: Counts, counts: Counts, exclusive: bool) -> float:
    """Return the gain, bits.

    Args:
        sizes: examples of each bin, float64 (b,).
        counts: those with each label, float64 (b, c).
        exclusive: whether every example has exactly one label.
    """
    share = counts / sizes[:, None]
    whole = counts.sum(axis=0) / sizes.sum()
    if exclusive:
        before, after = _bits(whole).sum(), _bits(share).sum(axis=1)
    else:
        before, after = (_bits(whole) + _bits(1 - whole)).sum(), (_bits(share) + _bits(1 - share)).sum(axis=1)
    return float(before - (sizes / sizes.sum()) @ after)


def _bits(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-share * np.log2(share, out=np.zeros_like(share), where=share > 0))


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    return by_score(np.array([information_gain(*table, choice.exclusive) for table in tables(choice)]))


INFORMATION_GAIN = Technique(
    "information-gain", "filter", "The variables that alone tell most about the labels, in bits.", _build
)
