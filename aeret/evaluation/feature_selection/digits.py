"""Ask which of 8 x 8 pixels tell the digit, on scikit-learn's handwritten digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from aeret.evaluation.feature_selection.technique import Choice, Chosen, Subject
from aeret.rng import generator

HELD_OUT = 1 / 3
"""Share of the digits that accuracy is measured on; of the rest, the share that searches validate on."""
_EXACT, _ROUGH = 1e-4, 3e-3
"""Largest gradient at which a fit ends: for results, and for comparing subsets inside a search."""


def digits(seed: int, l2: float = 1e-4) -> Subject:
    """Return the question on digits, answered by softmax regression.

    Args:
        seed: decides which digits are held out.
        l2: penalty of ``mean cross-entropy + l2 / 2 sum w^2``; the offsets are not penalised.
    """
    pixels, classes = load_digits(return_X_y=True)
    order = generator(seed, "feature-selection", "digits").permutation(len(pixels))
    held = round(len(order) * HELD_OUT)
    test, rest = order[:held], order[held:]
    inner = round(len(rest) * HELD_OUT)
    validation, fitted = rest[:inner], rest[inner:]
    search = _softmax(pixels[fitted], classes[fitted], l2, _ROUGH, pixels[validation])
    final = _softmax(pixels[rest], classes[rest], l2, _EXACT, pixels[test])

    def score(chosen: Chosen) -> float:
        # Ties of the accuracy are broken by the likelihood, which adds less than one example is worth.
        logs, rows = search(chosen), np.arange(len(validation))
        right = logs.argmax(axis=1) == classes[validation]
        return float(right.mean() + 0.5 * np.exp(logs[rows, classes[validation]].mean()) / len(rows))

    return Subject(
        name="digits",
        title="Handwritten digits: which pixels tell the digit?",
        variables="pixels",
        value="accuracy",
        choice=Choice(pixels[rest], classes[rest, None] == np.unique(classes), score, picture=(8, 8)),
        measure=lambda chosen: float((final(chosen).argmax(axis=1) == classes[test]).mean()),
        floor=float(np.bincount(classes[test]).max() / held),
        facts={"examples chosen and trained on": len(rest), "examples measured on": held, "L2 penalty": l2},
    )


def _softmax(inputs: Any, classes: Any, l2: float, tolerance: float, others: Any) -> Callable[[Chosen], Any]:
    """Return a function from chosen columns to log probabilities of ``others`` (m, c), fitted on ``inputs``."""
    scaler = StandardScaler().fit(inputs)
    scaled, judged = scaler.transform(inputs), scaler.transform(others)
    penalty = 1.0 / (l2 * len(inputs))

    def predict(chosen: Chosen) -> Any:
        model = LogisticRegression(C=penalty, tol=tolerance, max_iter=2000)
        return model.fit(scaled[:, chosen], classes).predict_log_proba(judged[:, chosen])

    return predict
