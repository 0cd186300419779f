"""The question on scikit-learn's handwritten digits: 8 x 8 pixels, which of them tell the digit?"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from aeret.evaluation.feature_selection.softmax import ROUGH, Softmax
from aeret.evaluation.feature_selection.subject import Subject
from aeret.evaluation.feature_selection.technique import Choice
from aeret.rng import generator

HELD_OUT = 1 / 3
"""Share of the digits that accuracy is measured on; of the rest, the share that searches validate on."""


def digits(seed: int, l2: float = 1e-4) -> Subject:
    """Return the question on digits.

    Args:
        seed: decides which digits are held out.
        l2: of the classifier, see :class:`~aeret.evaluation.feature_selection.softmax.Softmax`.
    """
    pixels, classes = load_digits(return_X_y=True)
    order = generator(seed, "feature-selection", "digits").permutation(len(pixels))
    held = round(len(order) * HELD_OUT)
    test, rest = order[:held], order[held:]
    inner = round(len(rest) * HELD_OUT)
    validation, fitted = rest[:inner], rest[inner:]
    search = Softmax(pixels[fitted], classes[fitted], pixels[validation], classes[validation], l2, ROUGH)
    final = Softmax(pixels[rest], classes[rest], pixels[test], classes[test], l2)
    labels = classes[rest, None] == np.unique(classes)
    return Subject(
        name="digits",
        title="Handwritten digits: which pixels tell the digit?",
        variables="pixels",
        value="accuracy",
        choice=Choice(pixels[rest], labels, search.score, picture=(8, 8)),
        measure=final.accuracy,
        floor=float(np.bincount(classes[test]).max() / held),
        facts={"examples chosen and trained on": len(rest), "examples measured on": held, "L2 penalty": l2},
    )
