"""AlexNet: five convolutions and three poolings, in torchvision's form, in Caffe's, and smaller.

Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012. Theirs had
two towers (one a GPU), local response normalisation, and 60,965,224 parameters at 227 px and 1,000 classes: that is
Caffe's form, whose poolings round up. torchvision has the one-tower form of Krizhevsky 2014 without normalisation:
61,100,840 parameters at 224 px.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aeret.models.backbones.backbone import BN, Backbone, fully_connected
from aeret.models.backbones.pieces import Pieces


def alexnet(pieces: Pieces, photos: Any) -> Any:
    """Stack 64/11s4 192/5 384/3 256/3 256/3 with 3x3 poolings of stride 2 after the first, second and fifth."""
    x = pieces.conv_relu(photos, "conv1", 64, 11, 4, 2)
    return _after_stem(pieces, pieces.max_pool(x, "pool1"), 64)


def alexnet_caffe(pieces: Pieces, photos: Any, towers: int = 2) -> Any:
    """Stack 96/11s4 256/5 384/3 384/3 256/3 with the second, fourth and fifth in two towers that do not see each other.

    With one tower it has 62,378,344 parameters.
    """
    x = pieces.local_response(pieces.conv_relu(photos, "conv1", 96, 11, 4), "lrn1")
    x = pieces.max_pool(x, "pool1", ceil=True)
    x = pieces.local_response(_in_towers(pieces, x, "conv2", 256, 5, towers), "lrn2")
    x = pieces.max_pool(x, "pool2", ceil=True)
    x = pieces.conv_relu(x, "conv3", 384, 3, padding=1)
    x = _in_towers(pieces, x, "conv4", 384, 3, towers)
    x = _in_towers(pieces, x, "conv5", 256, 3, towers)
    return pieces.max_pool(x, "pool5", ceil=True)


def alexnet_small(pieces: Pieces, photos: Any) -> Any:
    """Stack the same layers with half the channels after a 5x5 stem of stride 2: a map of 5x5 at 96 px."""
    x = pieces.conv_relu(photos, "conv1", 32, 5, 2, 2)
    return _after_stem(pieces, pieces.max_pool(x, "pool1"), 32)


def alexnet_small_bn(pieces: Pieces, photos: Any) -> Any:
    """Stack 64/7s4 192/5 256/3 256/3 256/3: a map of 5x5 at 96 px, 3x3 at 64 px."""
    x = pieces.conv_relu(photos, "conv1", 64, 7, 4, 3)
    x = pieces.conv_relu(x, "conv2", 192, 5, padding=2)
    x = pieces.max_pool(x, "pool2")
    for number in (3, 4, 5):
        x = pieces.conv_relu(x, f"conv{number}", 256, 3, padding=1)
    return pieces.max_pool(x, "pool5")


def _after_stem(pieces: Pieces, x: Any, width: int) -> Any:
    x = pieces.conv_relu(x, "conv2", 3 * width, 5, padding=2)
    x = pieces.max_pool(x, "pool2")
    x = pieces.conv_relu(x, "conv3", 6 * width, 3, padding=1)
    x = pieces.conv_relu(x, "conv4", 4 * width, 3, padding=1)
    x = pieces.conv_relu(x, "conv5", 4 * width, 3, padding=1)
    return pieces.max_pool(x, "pool5")


def _in_towers(pieces: Pieces, x: Any, name: str, channels: int, kernel: int, towers: int) -> Any:
    if towers == 1:
        return pieces.conv_relu(x, name, channels, kernel, padding=kernel // 2)
    # One convolution a tower: TensorFlow on CPU has no gradient of grouped convolutions.
    parts = [
        pieces.conv_relu(part, f"{name}_tower{tower}", channels // towers, kernel, padding=kernel // 2)
        for tower, part in enumerate(ops.split(x, towers, axis=-1))
    ]
    return keras.layers.Concatenate(name=f"{name}_towers")(parts)


_PAPER = (
    'A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014 (torchvision\'s AlexNet)'
)
_CAFFE = (
    'A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural networks", '
    "NIPS 2012 (Caffe's AlexNet, two towers)"
)
ALEXNET = Backbone(alexnet, 224, 63, _PAPER, fully_connected)
ALEXNET_BN = Backbone(alexnet, 224, 63, _PAPER + BN, fully_connected, normalised=True)
ALEXNET_CAFFE = Backbone(alexnet_caffe, 227, 55, _CAFFE, fully_connected)
ALEXNET_SMALL = Backbone(alexnet_small, 96, 29, _PAPER + "; 5x5 stem of stride 2, half the channels")
ALEXNET_SMALL_BN = Backbone(
    alexnet_small_bn, 96, 25, _PAPER + "; 7x7 stem of stride 4 without pooling" + BN, normalised=True
)
