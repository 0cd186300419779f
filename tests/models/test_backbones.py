"""Every backbone against the literature's counts and the table of its room."""

import re

import keras
import numpy as np
import pytest

import aeret.models.backbones as room
from aeret.errors import UsageError
from aeret.models.backbones import BACKBONES
from aeret.rng import derive

TABLE = {
    row[0]: [int(cell.replace(",", "")) for cell in row[1:]]
    for row in (re.split(r"\s{2,}", line.strip()) for line in (room.__doc__ or "").splitlines())
    if row[0] in BACKBONES
}


def trainable(model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.parametrize(("name", "count"), [("alexnet", 61_100_840), ("resnet18", 11_689_512)])
def test_classifier_has_the_parameters_of_the_paper(name, count):
    with keras.device("cpu"):
        model = BACKBONES[name].build_classifier(224, 1000, seed=0)
    assert trainable(model) == count
    assert model.output.shape == (None, 1000)


def test_alexnet_small_bn_by_hand():
    kernels = 7 * 7 * 3 * 64 + 5 * 5 * 64 * 192 + 9 * 192 * 256 + 2 * 9 * 256 * 256
    scales = 2 * (64 + 192 + 3 * 256)
    for size, side in ((64, 3), (96, 5)):
        model = BACKBONES["alexnet-small-bn"].build(size, seed=0)
        assert model.output.shape == (None, side, side, 256)
        assert trainable(model) == kernels + scales == 1_940_672
        # Mean and variance beside each scale and shift; the photos' normalisation has no variables.
        assert model.count_params() == kernels + 2 * scales


def test_resnet18_adds_only_moving_statistics():
    assert BACKBONES["resnet18"].build_classifier(224, 1000, seed=0).count_params() == 11_699_112


@pytest.mark.parametrize("name", BACKBONES)
def test_maps_and_counts_are_those_of_the_table(name):
    *sides, channels, count = TABLE[name]
    for size, side in zip((64, 96, 128, 224), sides, strict=True):
        model = BACKBONES[name].build(size, seed=0)
        assert model.output.shape == (None, side, side, channels)
    assert trainable(model) == count


@pytest.mark.parametrize("name", BACKBONES)
def test_smallest_size_is_the_smallest(name):
    backbone = BACKBONES[name]
    photos = np.random.default_rng(0).integers(0, 256, (2, backbone.smallest_size, backbone.smallest_size, 3))
    output = backbone.build(backbone.smallest_size, seed=0)(photos.astype(np.float32))
    assert np.isfinite(keras.ops.convert_to_numpy(output)).all()
    with pytest.raises(UsageError, match=r"too small.*cnn\.input_size"):
        backbone.build(backbone.smallest_size - 1, seed=0)


@pytest.mark.parametrize("name", ["alexnet-small", "resnet18-small"])
def test_weights_depend_on_the_seed_alone(name):
    size = BACKBONES[name].smallest_size
    first, again, other = (BACKBONES[name].build(size, seed) for seed in (1, 1, 2))
    for variable, same, different in zip(first.weights, again.weights, other.weights, strict=True):
        np.testing.assert_array_equal(variable.numpy(), same.numpy())
        if "kernel" in variable.path:
            assert not np.array_equal(variable.numpy(), different.numpy())


def test_photos_are_normalised_inside():
    model = BACKBONES["alexnet-small"].build(29, seed=0)
    normalise = model.get_layer("normalise")
    photos = np.stack([np.full((4, 4, 3), 255.0), np.zeros((4, 4, 3))])
    out = keras.ops.convert_to_numpy(normalise(photos))
    np.testing.assert_allclose(out[0, 0, 0], (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5)
    np.testing.assert_allclose(out[1, 0, 0], -np.array([0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], rtol=1e-5)


def test_a_strided_convolution_pads_evenly_as_in_pytorch():
    """Of a 7/2 convolution with padding 3, output 0 sees inputs -3..3; Keras' "same" would see -2..4."""
    from aeret.models.backbones.pieces import Pieces

    inputs = keras.Input((8, 8, 1))
    model = keras.Model(inputs, Pieces(0).conv(inputs, "c", 1, 7, 2, 3, bias=False))
    kernel = np.zeros((7, 7, 1, 1), np.float32)
    kernel[3, 3] = 1
    model.set_weights([kernel])
    photo = np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(photo)), photo[:, ::2, ::2])


def test_fused_batch_norm_is_keras_batch_norm():
    """Same output, same gradient, same moving mean; the variance differs by Bessel's factor."""
    from aeret.models.layers.batch_norm import EPSILON, batch_norm

    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow has a layer of its own")
    import tensorflow as tf

    x = tf.constant(np.random.default_rng(0).normal(3, 2, (4, 3, 3, 5)).astype(np.float32))
    weight = tf.constant(np.random.default_rng(1).normal(size=(4, 3, 3, 5)).astype(np.float32))
    layers = [
        batch_norm("fused"),
        keras.layers.BatchNormalization(momentum=0.9, epsilon=EPSILON),
    ]
    outputs, gradients = [], []
    for layer in layers:
        layer.build(x.shape)
        layer.gamma.assign(np.linspace(0.5, 2, 5))
        layer.beta.assign(np.linspace(-1, 1, 5))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y * weight)
        outputs.append(y.numpy())
        gradients.append([g.numpy() for g in tape.gradient(loss, [x, layer.gamma.value, layer.beta.value])])
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)
    for ours, theirs in zip(*gradients, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_allclose(layers[0].moving_mean.numpy(), layers[1].moving_mean.numpy(), rtol=1e-5)
    bessel = 36 / 35
    np.testing.assert_allclose(
        layers[0].moving_variance.numpy() - 0.9, (layers[1].moving_variance.numpy() - 0.9) * bessel, rtol=1e-4
    )
    inference = [layer(x, training=False).numpy() for layer in layers]
    layers[1].moving_variance.assign(layers[0].moving_variance)
    np.testing.assert_allclose(inference[0], layers[1](x, training=False).numpy(), atol=1e-5)


def test_batch_norm_keeps_the_compute_type():
    from aeret.models.layers.batch_norm import batch_norm
    from aeret.training import precision

    with precision("bfloat16"):
        layer = batch_norm("norm")
    out = layer(keras.ops.ones((2, 3, 3, 4), "bfloat16"), training=True)
    assert keras.backend.standardize_dtype(out.dtype) == "bfloat16"
    assert {keras.backend.standardize_dtype(variable.dtype) for variable in layer.variables} == {"float32"}


def test_layer_seed_is_derived_from_its_name():
    from aeret.models.backbones.pieces import Pieces

    assert Pieces(3).initializer("conv1").seed == derive(3, "weights", "conv1") % 2**31
