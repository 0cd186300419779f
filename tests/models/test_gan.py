"""One step of the GAN against the two games it stands for."""

import keras
import numpy as np
import pytest
from keras import ops

from aeret.models.backbones import BACKBONES
from aeret.models.gan import NOISE, Gan

SIDE = 20
PHOTOS = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.float32)


def gan() -> Gan:
    return Gan(BACKBONES["dcgan-discriminator"].build(SIDE, seed=1), seed=1)


def test_each_player_has_the_gradient_of_its_own_game():
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the tape is TensorFlow's")
    import tensorflow as tf

    model = gan()
    players = model.discriminator.trainable_variables, model.generator.trainable_variables
    values = [variable.value for player in players for variable in player]
    state = model.noise.state.numpy().copy()
    with tf.GradientTape() as tape:
        model.compute_loss(PHOTOS, None, model(PHOTOS, training=True))
        model.noise.state.assign(state)
        loss = model.compute_loss(PHOTOS, None, model(PHOTOS, training=True))
    found = [each.numpy() for each in tape.gradient(loss, values)]
    model.noise.state.assign(state)
    with tf.GradientTape(persistent=True) as tape:
        made = model.normalise(model.generator(keras.random.normal((4, NOISE), seed=model.noise), training=True))
        real = model(PHOTOS, training=True)
        false = model.discriminator(made, training=True)
        one = (ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(false))) / 2
        other = ops.mean(ops.softplus(-false))
    expected = [each.numpy() for each in tape.gradient(one, [v.value for v in players[0]])]
    expected += [each.numpy() for each in tape.gradient(other, [v.value for v in players[1]])]
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5 + 1e-3 * np.abs(theirs).max())


def test_moving_statistics_are_of_real_photos():
    played, alone = gan(), gan()
    played.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    found = played.train_on_batch(PHOTOS, return_dict=True)
    assert set(found) == {"loss", "discriminator_loss", "generator_loss", "accuracy"}
    assert found["loss"] == pytest.approx(found["discriminator_loss"] + found["generator_loss"], rel=1e-5)
    alone(PHOTOS, training=True)
    for name in ("conv2_norm", "conv4_norm"):
        one, other = (each.discriminator.get_layer(name).moving_mean.numpy() for each in (played, alone))
        assert one.any()
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_samples_are_photos_of_the_size_and_stay():
    first, again = gan().samples(3), gan().samples(3)
    assert first.shape == (3, SIDE, SIDE, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
