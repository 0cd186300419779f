"""Latent losses against values worked by hand."""

import math

import numpy as np
import pytest
from keras import ops

from aeret.losses.latent import LATENT_LOSSES

CODES = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
PREDICTED = np.array([[1.5, 0.0], [3.0, 2.0]], np.float32)


def value(name: str, codes: np.ndarray = CODES, predicted: np.ndarray = PREDICTED, temperature: float = 0.1) -> float:
    return float(LATENT_LOSSES[name](ops.convert_to_tensor(codes), ops.convert_to_tensor(predicted), temperature))


def test_mse_by_hand():
    assert value("mse") == pytest.approx((0.25 + 9) / 4)


def test_huber_by_hand():
    # |d| = 0.5 -> 0.125; |d| = 3 -> 2.5
    assert value("huber") == pytest.approx((0.125 + 2.5) / 4)


def test_cosine_by_hand():
    # Row 0 points the right way; row 1 has cos = 2 / sqrt(13).
    assert value("cosine") == pytest.approx((1 - 2 / math.sqrt(13)) / 2)


def test_cosine_ignores_length():
    assert value("cosine", CODES, 7 * CODES) == pytest.approx(0, abs=1e-6)


def test_contrastive_by_hand():
    # Cosines of predicted (rows) and codes (columns): [[1, 0], [3, 2] / sqrt(13)]; temperature 1/2 doubles them.
    a, b = 6 / math.sqrt(13), 4 / math.sqrt(13)
    rows = math.log(math.exp(2) + 1) - 2 + math.log(math.exp(a) + math.exp(b)) - b
    columns = math.log(math.exp(2) + math.exp(a)) - 2 + math.log(1 + math.exp(b)) - b
    assert value("contrastive", temperature=0.5) == pytest.approx((rows + columns) / 4, rel=1e-5)


def test_contrastive_of_a_constant_prediction_is_log_b():
    codes = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    constant = np.ones((5, 3), np.float32)
    assert value("contrastive", codes, constant, 1e9) == pytest.approx(math.log(5), rel=1e-5)


@pytest.mark.parametrize("name", LATENT_LOSSES)
def test_perfect_prediction_is_best(name):
    rng = np.random.default_rng(1)
    codes, other = rng.normal(size=(2, 6, 8)).astype(np.float32)
    assert value(name, codes, codes, 0.02) < 0.01 < value(name, codes, other, 0.02)


@pytest.mark.parametrize("name", LATENT_LOSSES)
def test_a_zero_prediction_is_finite(name):
    assert math.isfinite(value(name, CODES, np.zeros_like(CODES)))


@pytest.mark.parametrize("name", ["mse", "huber", "cosine"])
def test_lambda_does_not_depend_on_size(name):
    assert value(name, np.tile(CODES, (3, 4)), np.tile(PREDICTED, (3, 4))) == pytest.approx(value(name), rel=1e-6)
