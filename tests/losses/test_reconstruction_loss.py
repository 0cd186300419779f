"""Reconstruction losses against values worked by hand and against finite differences."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from aeret.errors import UnknownNameError, UsageError
from aeret.losses.reconstruction import RECONSTRUCTION_LOSSES, reconstruction_loss, soft_dice


def value(name: str, x: np.ndarray, z: np.ndarray, output: str = "sigmoid") -> np.ndarray:
    loss = reconstruction_loss(name, output)
    return keras.ops.convert_to_numpy(loss(x.astype(np.float32), z.astype(np.float32)))


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def test_cross_entropy_by_hand() -> None:
    x = np.array([1.0, 0.0, 0.5, 0.0]).reshape(1, 2, 2, 1)
    z = np.array([0.0, math.log(3), 0.0, -math.log(3)]).reshape(1, 2, 2, 1)
    # -log 1/2, -log 1/4, -log 1/2, -log 3/4
    expected = (math.log(2) + math.log(4) + math.log(2) + math.log(4 / 3)) / 4
    assert value("bce", x, z) == pytest.approx([expected], rel=1e-6)


def test_cross_entropy_of_extreme_logits_is_finite() -> None:
    x = np.array([1.0, 0.0]).reshape(1, 1, 2, 1)
    assert value("bce", x, np.array([-1e4, -1e4]).reshape(1, 1, 2, 1)) == pytest.approx([5e3])


def test_gradient_of_cross_entropy_is_sigmoid_minus_x() -> None:
    rng = np.random.default_rng(0)
    x, z = rng.random((1, 2, 2, 2)), rng.normal(size=(1, 2, 2, 2))
    loss = RECONSTRUCTION_LOSSES["bce"]

    class Logits(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.logits = self.add_weight(shape=z.shape, initializer="zeros")
            self.logits.assign(z)

        def call(self, inputs: object) -> object:
            return self.logits + 0.0

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):  # type: ignore
            return keras.ops.sum(loss(y, y_pred))

    model = Logits()
    # One step of plain gradient descent at rate 1 moves each logit by minus its gradient, on every backend.
    model.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=False)
    model.train_on_batch(np.zeros((1, 1), np.float32), x.astype(np.float32))
    gradient = z - model.logits.numpy()
    np.testing.assert_allclose(gradient * z.size, sigmoid(z) - x, atol=1e-5)


def test_dice_by_hand() -> None:
    # Logits so large that the reconstruction is 0 or 1. Channel 0: three true cells, two found, one of them false.
    x = np.zeros((1, 2, 3, 3))
    z = np.full((1, 2, 3, 3), -100.0)
    x[0, 0, :, 0] = 1
    z[0, 0, 0, 0] = z[0, 1, 0, 0] = 100
    # Channel 1: perfect. Channel 2: absent, though found; it does not count.
    x[0, 1, 1, 1] = 1
    z[0, 1, 1, 1] = 100
    z[0, :, :, 2] = 100
    expected = ((1 - 3 / 6) + 0.0) / 2
    assert keras.ops.convert_to_numpy(soft_dice(x, z)) == pytest.approx([expected], abs=1e-6)


def test_dice_of_an_empty_mask_is_zero() -> None:
    assert keras.ops.convert_to_numpy(soft_dice(np.zeros((2, 2, 2, 1)), np.full((2, 2, 2, 1), 5.0))).tolist() == [0, 0]


def test_sum_of_cross_entropy_and_dice() -> None:
    rng = np.random.default_rng(1)
    x, z = (rng.random((3, 4, 4, 5)) < 0.2).astype(float), rng.normal(size=(3, 4, 4, 5))
    dice = keras.ops.convert_to_numpy(soft_dice(x, z))
    np.testing.assert_allclose(value("bce+dice", x, z), 5 * value("bce", x, z) + dice, rtol=1e-5)


def test_squared_error_of_both_decoders() -> None:
    rng = np.random.default_rng(2)
    x, z = rng.random((2, 3, 3, 2)), rng.normal(size=(2, 3, 3, 2))
    np.testing.assert_allclose(value("mse", x, z), ((x - sigmoid(z)) ** 2).mean((1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(value("mse", x, z, "identity"), ((x - z) ** 2).mean((1, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize("name", RECONSTRUCTION_LOSSES)
def test_every_loss_is_per_sample_and_prefers_the_truth(name: str) -> None:
    x = (np.random.default_rng(3).random((4, 6, 6, 3)) < 0.3).astype(float)
    good, bad = value(name, x, 12 * x - 6), value(name, x, 6 - 12 * x)
    assert good.shape == (4,)
    assert (good < 0.1).all() and (bad > 0.5).all()
    np.testing.assert_allclose(value(name, x[1:2], 12 * x[1:2] - 6), good[1:2], rtol=1e-5)


def test_a_loss_of_probabilities_refuses_an_identity_decoder() -> None:
    with pytest.raises(UsageError, match=r"autoencoder\.output=sigmoid"):
        reconstruction_loss("bce+dice", "identity")
    with pytest.raises(UnknownNameError, match="bce"):
        reconstruction_loss("bcd", "sigmoid")
