"""Embedded selection: logistic regression with an L1 penalty, the lasso.

``-(1/n) sum [y log s(w.x) + (1-y) log(1 - s(w.x))] + alpha sum |w|``, one regression a label, all at the same alpha.
Alpha falls step by step from where all weights are 0, and a variable's place is where it gets a weight for the first
time. (The paper calls this penalty ridge; ridge is L2, which sets no weight to 0 and so selects nothing.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation.feature_selection.technique import Choice, Effort, Select, Technique, by_score

STEPS, RANGE = 25, 100.0
"""Values of alpha, and the first over the last."""
_ITERATIONS, _TOLERANCE = 300, 1e-4
Matrix = NDArray[np.float64]


def standardised(variables: NDArray[np.floating]) -> Matrix:
    """Return variables of mean 0 and deviation 1, float64 (n, v); those that never change are 0."""
    off = variables - variables.mean(axis=0, dtype=np.float64)
    deviation = off.std(axis=0)
    return np.asarray(off / np.where(deviation > 0, deviation, 1.0))


def fit(variables: Matrix, labels: Matrix, alpha: float, weights: Matrix, offsets: Matrix) -> tuple[Matrix, Matrix]:
    """Fit the regressions of all labels by accelerated proximal gradient (Beck and Teboulle 2009).

    Args:
        variables: standardised, float64 (n, v).
        labels: 0 or 1, float64 (n, c).
        alpha: weight of the penalty; the offsets are not penalised.
        weights: where to start, float64 (v, c).
        offsets: float64 (c,).

    Returns:
        Weights and offsets.
    """
    step = 4.0 / max(1.0, float(np.linalg.norm(variables, 2) ** 2 / len(variables)))
    ahead, ahead_offsets, pace = weights, offsets, 1.0
    for _ in range(_ITERATIONS):
        off = (_sigmoid(variables @ ahead + ahead_offsets) - labels) / len(variables)
        moved = ahead - step * (variables.T @ off)
        following = np.sign(moved) * np.maximum(np.abs(moved) - step * alpha, 0.0)
        following_offsets = ahead_offsets - step * off.sum(axis=0)
        change = max(np.abs(following - weights).max(), np.abs(following_offsets - offsets).max())
        quicker = (1 + np.sqrt(1 + 4 * pace**2)) / 2
        ahead = following + (pace - 1) / quicker * (following - weights)
        ahead_offsets = following_offsets + (pace - 1) / quicker * (following_offsets - offsets)
        weights, offsets, pace = following, following_offsets, quicker
        if change < _TOLERANCE:
            break
    return weights, offsets


def entry_scores(variables: NDArray[np.floating], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how early each variable gets a weight as alpha falls, float64 (v,); larger is earlier.

    Variables of one step are told apart by the sum of their absolute weights there; those that never enter, by their
    last gradient.
    """
    inputs = standardised(variables)
    told = labels[:, labels.any(axis=0) & ~labels.all(axis=0)].astype(np.float64)
    if not told.shape[1]:
        return np.zeros(inputs.shape[1])
    mean = told.mean(axis=0)
    slope = np.abs(inputs.T @ (told - mean)).max(axis=1) / len(inputs)
    largest = float(slope.max())
    weights, offsets = np.zeros((inputs.shape[1], told.shape[1])), np.log(mean / (1 - mean))
    scores = np.zeros(inputs.shape[1])
    for step, alpha in enumerate(largest * RANGE ** (-np.arange(1, STEPS + 1) / STEPS)):
        weights, offsets = fit(inputs, told, float(alpha), weights, offsets)
        size = np.abs(weights).sum(axis=1)
        entering = (scores == 0) & (size > 0)
        scores[entering] = STEPS - step + size[entering] / (1 + size[entering])
        if (scores > 0).all():
            return scores
    slope = np.abs(inputs.T @ (_sigmoid(inputs @ weights + offsets) - told)).max(axis=1) / len(inputs)
    return np.where(scores > 0, scores, slope / (1 + largest))


def _sigmoid(values: Matrix) -> Matrix:
    return np.asarray(0.5 * (1 + np.tanh(values / 2)))


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    return by_score(entry_scores(choice.variables, choice.labels))


LASSO = Technique(
    "lasso", "embedded", "Logistic regression with an L1 penalty: the variables that get a weight first.", _build
)
