"""Every backbone against the literature's counts and a table of maps."""

import keras
import numpy as np
import pytest
from keras.layers import Conv2D

from aeret.errors import UsageError
from aeret.models.backbones import BACKBONES
from aeret.models.backbones.alexnet import alexnet_caffe
from aeret.models.backbones.backbone import fully_connected
from aeret.models.backbones.description import Description, describe
from aeret.models.backbones.googlenet import auxiliary_classifiers, googlenet_classifier
from aeret.models.backbones.pieces import DEVIATION, Outline, Pieces
from aeret.models.joint import JointModel
from aeret.models.layers.local_response import LocalResponseNormalization
from aeret.models.saved_joint import SavedJoint
from aeret.rng import derive
from aeret.settings import CnnSettings

TABLE = {
    # Side of the map at 64, 96, 128 and 224 px; channels; parameters without a head.
    "alexnet": (1, 2, 3, 6, 256, 2_469_696),
    "alexnet-bn": (1, 2, 3, 6, 256, 2_470_848),
    "alexnet-caffe": (1, 2, 3, 6, 256, 2_334_080),
    "alexnet-small": (3, 5, 7, 13, 128, 614_304),
    "alexnet-small-bn": (3, 5, 7, 13, 256, 1_940_672),
    "bigru": (64, 96, 128, 224, 256, 912_384),
    "dcgan-discriminator": (4, 6, 8, 14, 512, 2_757_440),
    "googlenet": (2, 3, 4, 7, 1024, 5_973_552),
    "googlenet-bn": (2, 3, 4, 7, 1024, 5_980_832),
    "nin": (1, 2, 3, 6, 1024, 6_570_176),
    "nin-bn": (1, 2, 3, 6, 1024, 6_574_432),
    "resnet18": (2, 3, 4, 7, 512, 11_176_512),
    "resnet18-small": (4, 6, 8, 14, 256, 2_795_040),
    "vgg-f": (1, 2, 3, 6, 256, 2_203_392),
    "vgg-f-bn": (1, 2, 3, 6, 256, 2_204_480),
    "vgg-s": (1, 2, 3, 6, 512, 6_528_640),
    "vgg-s-bn": (1, 2, 3, 6, 512, 6_530_528),
    "vgg19": (2, 3, 4, 7, 512, 20_024_384),
    "vgg19-bn": (2, 3, 4, 7, 512, 20_029_888),
    "zfnet": (1, 2, 3, 6, 256, 3_726_464),
    "zfnet-bn": (1, 2, 3, 6, 256, 3_727_840),
}

PAPERS = {
    # Size; parameters at 1,000 classes; of them in the features; map; width of the last but one layer.
    "alexnet": (224, 61_100_840, 2_469_696, (6, 6, 256), 4096),
    "alexnet-caffe": (227, 60_965_224, 2_334_080, (6, 6, 256), 4096),
    "googlenet": (224, 6_998_552, 5_973_552, (7, 7, 1024), 1024),
    # The literature counts cccp8 as features; here it is the classifier, over the map of cccp7.
    "nin": (224, 7_595_176, 7_595_176 - 1_025_000, (6, 6, 1024), 1000),
    "resnet18": (224, 11_689_512, 11_176_512, (7, 7, 512), 512),
    "vgg-f": (224, 60_834_536, 2_203_392, (6, 6, 256), 4096),
    "vgg-s": (224, 102_908_520, 6_528_640, (6, 6, 512), 4096),
    "vgg19": (224, 143_667_240, 20_024_384, (7, 7, 512), 4096),
    "zfnet": (224, 62_357_608, 3_726_464, (6, 6, 256), 4096),
}

SMALLEST = {"alexnet": 63, "alexnet-caffe": 55, "googlenet": 47, "nin": 55, "vgg-f": 55, "vgg-s": 55}
SMALLEST |= {"vgg19": 32, "zfnet": 63}

VARIANTS = ("alexnet", "googlenet", "nin", "vgg-f", "vgg-s", "vgg19", "zfnet")


def trainable(model) -> int:
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def array(tensor) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("name", PAPERS)
def test_counts_and_maps_are_those_of_the_literature(name):
    size, total, features, shape, embedding = PAPERS[name]
    backbone = BACKBONES[name]
    assert backbone.native_size == size
    assert describe(backbone, size) == Description(size, total, shape, embedding)
    assert trainable(backbone.outline(size)) == features


@pytest.mark.parametrize("name", BACKBONES)
def test_maps_and_counts_are_those_of_the_table(name):
    *sides, channels, count = TABLE[name]
    for size, side in zip((64, 96, 128, 224), sides, strict=True):
        model = BACKBONES[name].outline(size)
        assert model.output.shape == (None, side, 1 if name == "bigru" else side, channels)
    assert trainable(model) == count


@pytest.mark.parametrize("name", VARIANTS)
def test_a_batch_norm_variant_has_the_same_convolutions(name):
    plain, variant = (BACKBONES[each].outline(64) for each in (name, f"{name}-bn"))
    kernels = [[layer for layer in model.layers if isinstance(layer, Conv2D)] for model in (plain, variant)]
    assert [layer.kernel.path for layer in kernels[0]] == [layer.kernel.path for layer in kernels[1]]
    assert [layer.output.shape for layer in kernels[0]] == [layer.output.shape for layer in kernels[1]]
    assert not any(layer.use_bias for layer in kernels[1])
    assert not any(isinstance(layer, LocalResponseNormalization) for layer in variant.layers)
    channels = sum(layer.filters for layer in kernels[0])
    # A scale and a shift in place of each bias; beside them the moving mean and variance.
    assert trainable(variant) == trainable(plain) + channels
    assert variant.count_params() == plain.count_params() + 3 * channels


@pytest.mark.parametrize("name", SMALLEST)
def test_no_map_is_left_below_the_smallest_size(name):
    def side(size: int) -> int:
        try:
            return BACKBONES[name].stack(Outline(), keras.Input((size, size, 3))).shape[1]
        except ValueError:
            return 0

    assert BACKBONES[name].smallest_size == SMALLEST[name]
    assert (side(SMALLEST[name] - 1), side(SMALLEST[name])) == (0, 1)


@pytest.mark.parametrize("name", BACKBONES)
def test_trains_at_its_smallest_size_and_comes_back_from_disk(name, tmp_path):
    size = BACKBONES[name].smallest_size
    settings = CnnSettings(backbone=name, input_size=size, embedding_size=4)
    model = JointModel(settings, 3, 2, seed=1, target=lambda masks: keras.ops.mean(masks, axis=(1, 2)))
    alone = {variable.path: variable.numpy().copy() for variable in BACKBONES[name].build(size, seed=1).weights}
    found = {variable.path: variable.numpy().copy() for variable in model.weights if variable.path in alone}
    assert set(found) == set(alone)
    for path, values in alone.items():
        np.testing.assert_array_equal(found[path], values)

    rng = np.random.default_rng(0)
    photos = rng.integers(0, 256, (2, size, size, 3)).astype(np.float32)
    targets = {"labels": np.eye(2, 3, dtype=np.float32), "masks": rng.random((2, 4, 4, 2)).astype(np.float32)}
    model.compile(keras.optimizers.SGD(1e-2), run_eagerly=True, jit_compile=False)
    for _ in range(2):
        assert np.isfinite(model.train_on_batch(photos, targets, return_dict=True)["loss"])
    kernels = [path for path in alone if path.endswith("kernel")]
    after = {variable.path: variable.numpy().copy() for variable in model.weights if variable.path in kernels}
    assert all((after[path] != alone[path]).any() for path in kernels)

    SavedJoint.save(tmp_path, model, ["a", "b", "c"], 2)
    outputs, again = model(photos), SavedJoint.load(tmp_path).model(photos)
    for output in ("embedding", "label_logits", "code"):
        assert np.isfinite(array(outputs[output])).all()
        np.testing.assert_allclose(array(again[output]), array(outputs[output]), rtol=1e-4, atol=1e-5)

    with pytest.raises(UsageError, match=rf"{size - 1} px are too small.*takes {size} px.*cnn\.input_size"):
        BACKBONES[name].build(size - 1, seed=0)


@pytest.mark.parametrize("name", ["alexnet-small", "resnet18-small"])
def test_another_seed_draws_other_weights(name):
    size = BACKBONES[name].smallest_size
    first, other = (BACKBONES[name].build(size, seed) for seed in (1, 2))
    for variable, different in zip(first.weights, other.weights, strict=True):
        if "kernel" in variable.path:
            assert not np.array_equal(variable.numpy(), different.numpy())


def test_alexnet_small_bn_by_hand():
    kernels = 7 * 7 * 3 * 64 + 5 * 5 * 64 * 192 + 9 * 192 * 256 + 2 * 9 * 256 * 256
    scales = 2 * (64 + 192 + 3 * 256)
    model = BACKBONES["alexnet-small-bn"].outline(96)
    assert trainable(model) == kernels + scales == 1_940_672
    # Mean and variance beside each scale and shift; the photos' normalisation has no variables.
    assert model.count_params() == kernels + 2 * scales


def test_resnet18_adds_only_moving_statistics():
    assert BACKBONES["resnet18"].outline(224, 1000).count_params() == 11_699_112


def test_alexnet_of_caffe_in_one_tower():
    photos = keras.Input((227, 227, 3))
    model = keras.Model(photos, alexnet_caffe(Outline(), photos, towers=1))
    assert trainable(model) == 3_747_200


def test_a_tower_sees_its_half_of_the_channels():
    photos = keras.Input((227, 227, 3))
    model = keras.Model(photos, alexnet_caffe(Pieces(0), photos))
    assert model.get_layer("conv4_tower1").kernel.shape == (3, 3, 192, 192)
    half = keras.Model(model.get_layer("pool2").output, model.get_layer("conv3_relu").output)
    assert half.output.shape == (None, 13, 13, 384)
    after = keras.Model(model.get_layer("conv3_relu").output, model.get_layer("conv4_towers").output)
    maps = np.random.default_rng(0).normal(size=(1, 13, 13, 384)).astype(np.float32)
    changed = maps.copy()
    changed[..., :192] += 1
    same = (array(after(maps)) == array(after(changed))).all((0, 1, 2))
    assert same[192:].all()
    assert not same[:192].all()


def test_googlenet_with_its_auxiliary_classifiers():
    backbone, pieces = BACKBONES["googlenet"].outline(224), Outline()
    logits = [googlenet_classifier(pieces, backbone.output, 1000), *auxiliary_classifiers(pieces, backbone, 1000)]
    assert trainable(keras.Model(backbone.input, logits)) == 13_378_280
    assert backbone.get_layer("4a").output.shape == (None, 14, 14, 512)


def test_logits_of_nin_are_the_mean_of_a_map_of_classes():
    model = BACKBONES["nin"].build_classifier(55, 7, seed=0)
    assert model.get_layer("cccp8").output.shape == (None, 1, 1, 7)
    assert model(np.zeros((1, 55, 55, 3), np.float32)).shape == (1, 7)


@pytest.mark.parametrize(("size", "alpha", "type_"), [(5, 1e-4, "float32"), (3, 0.5, "float32"), (5, 0.5, "bfloat16")])
def test_local_response_by_hand(size, alpha, type_):
    x = np.random.default_rng(0).normal(scale=3, size=(2, 2, 2, 7)).astype(np.float32)
    x = array(keras.ops.cast(keras.ops.cast(x, type_), "float32"))
    expected = np.empty_like(x)
    for channel in range(7):
        near = x[..., max(0, channel - size // 2) : channel + size // 2 + 1]
        expected[..., channel] = x[..., channel] / (1 + alpha / size * (near**2).sum(-1)) ** 0.75
    layer = LocalResponseNormalization(size, alpha, dtype="mixed_bfloat16" if type_ == "bfloat16" else type_)
    found = layer(keras.ops.cast(x, type_))
    assert keras.backend.standardize_dtype(found.dtype) == type_
    np.testing.assert_allclose(
        array(keras.ops.cast(found, "float32")), expected, rtol=1e-2 if type_ == "bfloat16" else 1e-5
    )


def test_local_response_comes_back_from_its_configuration_and_is_odd():
    layer = LocalResponseNormalization(3, 0.5, 0.6, name="lrn")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (again.size, again.alpha, again.beta, again.name) == (3, 0.5, 0.6, "lrn")
    for size in (0, 4):
        with pytest.raises(UsageError, match=f"odd number of channels, got size={size}"):
            LocalResponseNormalization(size)


def test_local_response_does_to_divided_photos_what_the_papers_did_to_whole_ones():
    x = np.random.default_rng(0).normal(scale=300, size=(1, 2, 2, 16)).astype(np.float32)
    whole = array(LocalResponseNormalization(5, 1e-4)(x))
    inputs = keras.Input((2, 2, 16))
    model = keras.Model(inputs, Pieces(0).local_response(inputs, "lrn"))
    unit = np.sqrt(np.mean(np.square(DEVIATION)))
    np.testing.assert_allclose(array(model(x / unit)) * unit, whole, rtol=1e-4)
    assert (np.abs(whole) < 0.9 * np.abs(x)).any()  # far from the identity


@pytest.mark.parametrize("name", BACKBONES)
def test_settings_know_which_networks_have_fully_connected_layers(name):
    if BACKBONES[name].classifier is fully_connected:
        assert CnnSettings(backbone=name, pooling="fc").pooling == "fc"
        with pytest.raises(ValueError, match="would read random ones"):
            CnnSettings(backbone=name, pooling="fc", weights="x", transfer="frozen")
    else:
        with pytest.raises(ValueError, match=f"fully connected layers, which '{name}' has not"):
            CnnSettings(backbone=name, pooling="fc")


def test_a_network_with_its_own_head_is_that_of_its_paper(tmp_path):
    settings = CnnSettings(backbone="alexnet", input_size=63, pooling="fc", embedding_norm=True)
    model = JointModel(settings, 5, 2, seed=1)
    own = BACKBONES["alexnet"].outline(63, 5)
    assert model.count_params() == own.count_params() + 2 * 4096 + 2  # and the head of the code
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert [layer.rate for layer in dropouts] == [0.5, 0.5]
    model.learn("head")
    assert len(model.trainable_variables) == 2 * 4
    photos = np.random.default_rng(0).integers(0, 256, (2, 63, 63, 3)).astype(np.uint8)
    outputs = model(photos)
    assert outputs["embedding"].shape == (2, 4096) and array(outputs["embedding"]).min() == 0
    for layer in own.layers:
        if layer.weights:
            source = model.get_layer("label_logits" if layer.name == "classes" else layer.name)
            layer.set_weights(source.get_weights())
    np.testing.assert_allclose(array(own(photos)), array(outputs["label_logits"]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("side", "kernel", "stride", "pooled"), [(55, 3, 2, 27), (12, 3, 2, 6), (109, 3, 3, 37)])
def test_pooling_rounds_up_at_the_far_edge(side, kernel, stride, pooled):
    inputs = keras.Input((side, side, 1))
    model = keras.Model(inputs, Pieces(0).max_pool(inputs, "pool", kernel, stride, ceil=True))
    x = np.random.default_rng(0).random((side, side), np.float32)
    starts = range(0, pooled * stride, stride)
    expected = [[x[i : i + kernel, j : j + kernel].max() for j in starts] for i in starts]
    np.testing.assert_array_equal(array(model(x[None, ..., None]))[0, ..., 0], expected)


def test_photos_are_normalised_inside():
    model = BACKBONES["alexnet-small"].build(29, seed=0)
    normalise = model.get_layer("normalise")
    photos = np.stack([np.full((4, 4, 3), 255.0), np.zeros((4, 4, 3))])
    out = keras.ops.convert_to_numpy(normalise(photos))
    np.testing.assert_allclose(out[0, 0, 0], (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5)
    np.testing.assert_allclose(out[1, 0, 0], -np.array([0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], rtol=1e-5)


def test_a_strided_convolution_pads_evenly_as_in_pytorch():
    """Of a 7/2 convolution with padding 3, output 0 sees inputs -3..3; Keras' "same" would see -2..4."""
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
    assert Pieces(3).initializer("conv1").seed == derive(3, "weights", "conv1") % 2**31
