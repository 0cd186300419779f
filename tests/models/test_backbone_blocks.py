"""Backbones taken apart: by hand for small ones, as a partition for all."""

from itertools import pairwise

import keras
import pytest

from aeret.models.backbones import BACKBONES
from aeret.models.blocks import blocks, last_block


def test_a_plain_network_is_cut_before_each_kernel():
    chain = blocks(BACKBONES["alexnet-small"].outline(64))
    assert [(block.name, block.layers) for block in chain] == [(f"conv{n}", (f"conv{n}",)) for n in range(1, 6)]
    # The 5x5 stem of stride 2 (padding 2) and the pooling after it belong to the first block: 64 -> 32 -> 15.
    assert chain[0].start.shape == (None, 64, 64, 3)
    assert chain[0].end.shape == chain[1].start.shape == (None, 15, 15, 32)


def test_a_residual_block_is_one_block():
    chain = blocks(BACKBONES["resnet18-small"].outline(64))
    assert [block.name for block in chain] == ["conv1"] + [
        f"stage{n}{side}_conv1" for n in range(1, 5) for side in "ab"
    ]
    assert set(chain[3].layers) == {
        f"stage2a_{part}{norm}" for part in ("conv1", "conv2", "shortcut") for norm in ("", "_norm")
    }


def test_an_inception_module_is_one_block_and_towers_too():
    assert len(blocks(BACKBONES["googlenet"].outline(64))) == 3 + 9
    assert blocks(BACKBONES["alexnet-caffe"].outline(64))[1].layers == ("conv2_tower0", "conv2_tower1")


@pytest.mark.parametrize("name", BACKBONES)
def test_every_layer_is_in_one_block(name):
    model = BACKBONES[name].outline(64)
    chain = blocks(model)
    layers = [layer for block in chain for layer in block.layers]
    assert sorted(layers) == sorted(layer.name for layer in model.layers if layer.weights)
    for below, above in pairwise(chain):
        assert below.end is above.start
    assert keras.Model(chain[-1].start, chain[-1].end).output.shape == model.output.shape
    assert len(chain) > 1 and chain[-1].layers  # a last block is never all there is


def test_last_block():
    assert last_block(BACKBONES["vgg19"].outline(64)) == ("conv5_4",)
    assert {name.split("_")[0] for name in last_block(BACKBONES["resnet18"].outline(64))} == {"stage4b"}
    assert last_block(BACKBONES["bigru"].outline(64)) == ("gru2",)
    assert last_block(BACKBONES["alexnet-caffe"].outline(64)) == ("conv5_tower0", "conv5_tower1")
    assert len(last_block(BACKBONES["googlenet"].outline(64))) == 6
    assert last_block(BACKBONES["dcgan-discriminator"].outline(64)) == ("conv4", "conv4_norm")
