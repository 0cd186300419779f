"""AlexNet: five convolutions, three poolings, no normalisation but in the variants whose name ends in ``-bn``.

Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012, in the
one-tower form of Krizhevsky 2014 that torchvision has: 61,100,840 parameters at 224 px and 1,000 classes. (Caffe's
two-tower form has 60,965,224; Caffe pools rounding up.)
"""

from __future__ import annotations

from typing import Any

from aeret.models.backbones.backbone import Pieces


def alexnet(pieces: Pieces, photos: Any) -> Any:
    """Stack 64/11s4 192/5 384/3 256/3 256/3 with 3x3 poolings of stride 2 after the first, second and fifth."""
    x = pieces.conv_relu(photos, "conv1", 64, 11, 4, 2)
    return _after_stem(pieces, pieces.max_pool(x, "pool1"), 64)


def alexnet_small(pieces: Pieces, photos: Any) -> Any:
    """Stack the same layers with half the channels after a 5x5 stem of stride 2: a map of 5x5 at 96 px."""
    x = pieces.conv_relu(photos, "conv1", 32, 5, 2, 2)
    return _after_stem(pieces, pieces.max_pool(x, "pool1"), 32)


def alexnet_small_bn(pieces: Pieces, photos: Any) -> Any:
    """Stack 64/7s4 192/5 256/3 256/3 256/3 under batch normalisation: a map of 5x5 at 96 px, 3x3 at 64 px."""
    x = _norm_relu(pieces, photos, "conv1", 64, 7, 4, 3)
    x = _norm_relu(pieces, x, "conv2", 192, 5, padding=2)
    x = pieces.max_pool(x, "pool2")
    for number in (3, 4, 5):
        x = _norm_relu(pieces, x, f"conv{number}", 256, 3, padding=1)
    return pieces.max_pool(x, "pool5")


def _norm_relu(pieces: Pieces, x: Any, name: str, channels: int, kernel: int, stride: int = 1, padding: int = 0) -> Any:
    return pieces.relu(pieces.conv_norm(x, name, channels, kernel, stride, padding), name)


def _after_stem(pieces: Pieces, x: Any, width: int) -> Any:
    x = pieces.conv_relu(x, "conv2", 3 * width, 5, padding=2)
    x = pieces.max_pool(x, "pool2")
    x = pieces.conv_relu(x, "conv3", 6 * width, 3, padding=1)
    x = pieces.conv_relu(x, "conv4", 4 * width, 3, padding=1)
    x = pieces.conv_relu(x, "conv5", 4 * width, 3, padding=1)
    return pieces.max_pool(x, "pool5")
