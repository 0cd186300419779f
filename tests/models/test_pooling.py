"""Pooling heads against NumPy."""

import keras
import numpy as np
import pytest

from aeret.errors import UnknownNameError
from aeret.models.pooling import GeneralizedMean, pool

MAP = np.abs(np.random.default_rng(0).normal(size=(2, 3, 4, 5))).astype(np.float32)


def apply(name: str) -> np.ndarray:
    inputs = keras.Input(MAP.shape[1:])
    return keras.ops.convert_to_numpy(keras.Model(inputs, pool(inputs, name))(MAP))


def test_gap_is_the_mean():
    np.testing.assert_allclose(apply("gap"), MAP.mean((1, 2)), rtol=1e-6)


def test_gem_is_the_cubic_mean():
    np.testing.assert_allclose(apply("gem"), (MAP.astype(np.float64) ** 3).mean((1, 2)) ** (1 / 3), rtol=1e-5)


def test_gem_goes_from_mean_to_maximum():
    for p, expected in ((1.0, MAP.mean((1, 2))), (1e4, MAP.max((1, 2)))):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(GeneralizedMean(p)(MAP)), expected, rtol=1e-2)


def test_gem_learns_p_and_takes_zeros():
    layer = GeneralizedMean()
    out = keras.ops.convert_to_numpy(layer(np.zeros_like(MAP)))
    assert layer.trainable_variables[0].shape == ()
    np.testing.assert_allclose(out, 1e-6, rtol=1e-3)


@pytest.mark.parametrize("p", [0.5, 0.0, -3.0])
def test_gem_below_one_is_the_mean(p):
    np.testing.assert_allclose(keras.ops.convert_to_numpy(GeneralizedMean(p)(MAP)), MAP.mean((1, 2)), rtol=1e-5)


def test_gem_comes_back_from_the_mean():
    layer = GeneralizedMean(1.5)
    inputs = keras.Input(MAP.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(5.0), "mse", jit_compile=False)
    found = []
    for target in (MAP.min((1, 2)), MAP.max((1, 2))):
        model.train_on_batch(MAP, target)
        found.append(float(layer.p.numpy()))
    assert found[0] == 1.0 < found[1]


def test_flat_keeps_every_position():
    np.testing.assert_array_equal(apply("flat"), MAP.reshape(2, -1))


def test_unknown_pooling_suggests():
    with pytest.raises(UnknownNameError, match="Did you mean 'gem'"):
        pool(keras.Input((2, 2, 1)), "gemm")
