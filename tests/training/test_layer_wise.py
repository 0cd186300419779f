"""Layer-wise pretraining: what a block's training reads, and what it leaves alone."""

import keras
import numpy as np
import pytest

from aeret.models.backbones import BACKBONES
from aeret.models.block_autoencoder import BlockAutoencoder
from aeret.models.blocks import blocks

PHOTOS = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(np.float32)


def test_dropout_of_the_network_itself_stays_out():
    backbone = BACKBONES["nin"].build(64, seed=0)
    chain = {block.name: block for block in blocks(backbone)}
    model = BlockAutoencoder(backbone, chain["conv4"], 0.5, seed=0)
    whole = keras.ops.convert_to_numpy(model(PHOTOS, training=False)["source"])
    training = keras.ops.convert_to_numpy(model(PHOTOS, training=True)["source"])
    assert whole.std() > 0
    np.testing.assert_allclose(training, whole, rtol=1e-5)


def test_the_encoder_drops_nothing_but_what_corruption_drops():
    backbone = BACKBONES["nin"].build(64, seed=0)
    chain = {block.name: block for block in blocks(backbone)}
    model = BlockAutoencoder(backbone, chain["cccp6"], 0.0, seed=0)  # its end is pool3 and its dropout
    decoded = [keras.ops.convert_to_numpy(model(PHOTOS, training=each)["decoded"]) for each in (False, True)]
    np.testing.assert_allclose(decoded[0], decoded[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["conv1", "conv3"])
def test_blocks_below_and_above_stay_as_they_are_with_their_moving_statistics(name):
    backbone = BACKBONES["alexnet-small-bn"].build(64, seed=0)
    block = next(block for block in blocks(backbone) if block.name == name)
    model = BlockAutoencoder(backbone, block, 0.1, seed=0)
    before = {layer.name: layer.get_weights() for layer in backbone.layers if layer.weights}
    model.compile(keras.optimizers.SGD(1e-2), run_eagerly=True, jit_compile=False)
    model.train_on_batch(PHOTOS, PHOTOS)
    changed = {
        layer
        for layer, arrays in before.items()
        if any((one != two).any() for one, two in zip(arrays, backbone.get_layer(layer).get_weights(), strict=True))
    }
    assert changed == {name, f"{name}_norm"}
    after = backbone.get_layer(f"{name}_norm").get_weights()
    assert (after[2] != before[f"{name}_norm"][2]).any()  # the moving mean of the block itself
