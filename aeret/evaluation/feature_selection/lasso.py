"""Select the variables that enter a lasso first.

All labels are regressed together (scikit-learn's multi-task lasso) while the penalty alpha falls step by step from
where all weights are 0. The paper calls this penalty ridge; ridge is L2, which sets no weight to 0.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import lasso_path
from sklearn.preprocessing import StandardScaler

from aeret.evaluation.feature_selection.technique import Choice, scored

STEPS, RANGE = 25, 100.0
"""Values of alpha, and the first over the last."""


def entry_scores(choice: Choice) -> NDArray[np.float64]:
    """Return how early each variable gets a weight as alpha falls, float64 (v,); 0 if never.

    The sum of absolute weights decides between variables that enter at the same alpha.
    """
    told = choice.labels[:, choice.labels.any(axis=0) & ~choice.labels.all(axis=0)].astype(np.float64)
    if not told.shape[1]:
        return np.zeros(choice.total)
    inputs = StandardScaler().fit_transform(choice.variables)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the order of entry does not need the last digits
        _, weights, _ = lasso_path(inputs, told - told.mean(axis=0), eps=1 / RANGE, alphas=STEPS)
    size = np.abs(weights).sum(axis=0)  # (v, steps)
    first = (size > 0).argmax(axis=1)
    entry = size[np.arange(len(size)), first]
    return np.where(entry > 0, STEPS - first + entry / (1 + entry), 0.0)


LASSO = scored(
    "lasso", "embedded", "Regression with an L1 penalty: the variables that get a weight first.", entry_scores
)
