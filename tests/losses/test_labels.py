"""Label losses against values worked by hand and against SciPy."""

import math

import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax

from aeret.losses.labels import LABEL_LOSSES

LABELS = np.array([[1, 0, 1], [0, 0, 1]], np.float32)
LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], np.float32)


def value(name: str, labels: np.ndarray, logits: np.ndarray, smoothing: float = 0.0) -> float:
    return float(LABEL_LOSSES[name](ops.convert_to_tensor(labels), ops.convert_to_tensor(logits), smoothing))


def test_bce_is_the_mean_of_minus_log_likelihood():
    probabilities = 1 / (1 + np.exp(-LOGITS.astype(np.float64)))
    expected = -np.mean(LABELS * np.log(probabilities) + (1 - LABELS) * np.log(1 - probabilities))
    assert value("bce", LABELS, LOGITS) == pytest.approx(expected, rel=1e-6)


def test_bce_at_zero_logits_is_log_2():
    assert value("bce", LABELS, np.zeros_like(LOGITS)) == pytest.approx(math.log(2), rel=1e-6)


def test_bce_smoothing_by_hand():
    # One label, y = 1, z = 1, s = 0.2: target 0.9; log(1 + e) - 0.9 = 0.4132617.
    assert value("bce", np.ones((1, 1), np.float32), np.ones((1, 1), np.float32), 0.2) == pytest.approx(0.4132617)


def test_bce_does_not_overflow():
    logits = np.array([[1e4, -1e4]], np.float32)
    assert value("bce", np.array([[1, 0]], np.float32), logits) == 0.0
    assert value("bce", np.array([[0, 1]], np.float32), logits) == pytest.approx(1e4)


def test_softmax_of_one_label():
    labels = np.array([[0, 1, 0], [1, 0, 0]], np.float32)
    expected = -(log_softmax(LOGITS[0])[1] + log_softmax(LOGITS[1])[0]) / 2
    assert value("softmax", labels, LOGITS) == pytest.approx(expected, rel=1e-6)


def test_softmax_shares_mass_among_several_labels_and_ignores_none():
    logs = log_softmax(LOGITS[0])
    labels = np.array([[1, 0, 1], [0, 0, 0]], np.float32)
    assert value("softmax", labels, LOGITS) == pytest.approx(-(logs[0] + logs[2]) / 2 / 2, rel=1e-6)
    assert value("softmax", labels, LOGITS, 0.3) == pytest.approx(
        -(0.35 * (logs[0] + logs[2]) + 0.1 * logs.sum()) / 2, rel=1e-6
    )
