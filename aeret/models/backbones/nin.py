"""Network in network: each convolution is followed by two of 1x1; no fully connected layer.

M. Lin, Q. Chen, S. Yan, "Network in network", ICLR 2014, in the form of its ImageNet model for Caffe: 7,595,176
parameters at 1,000 classes. Its last 1x1 convolution, cccp8, has one channel a class and its global mean is the logits:
that one is the classifier here. The map that other heads see is the layer before it, cccp7: 6x6x1024 at 224 px.
"""

from __future__ import annotations

from typing import Any

import keras

from aeret.models.backbones.backbone import BN, Backbone
from aeret.models.backbones.pieces import Pieces


def nin(pieces: Pieces, photos: Any) -> Any:
    """Stack 96/11s4, 256/5, 384/3, 1024/3, each with two 1x1 of its width; 3x3 poolings of stride 2 in between."""
    x = _block(pieces, photos, 1, 96, 11, 4)
    x = _block(pieces, pieces.max_pool(x, "pool1", ceil=True), 2, 256, 5, padding=2)
    x = _block(pieces, pieces.max_pool(x, "pool2", ceil=True), 3, 384, 3, padding=1)
    x = pieces.dropout(pieces.max_pool(x, "pool3", ceil=True), "pool3_dropout")
    x = pieces.conv_relu(x, "conv4", 1024, 3, padding=1)
    return pieces.conv_relu(x, "cccp7", 1024, 1)


def nin_classifier(pieces: Pieces, x: Any, classes: int) -> Any:
    """Stack cccp8 (with ReLU, as published) and its global mean."""
    x = pieces.conv_relu(x, "cccp8", classes, 1)
    return keras.layers.GlobalAveragePooling2D(dtype="float32", name="classes")(x)


def _block(pieces: Pieces, x: Any, number: int, channels: int, kernel: int, stride: int = 1, padding: int = 0) -> Any:
    x = pieces.conv_relu(x, f"conv{number}", channels, kernel, stride, padding)
    x = pieces.conv_relu(x, f"cccp{2 * number - 1}", channels, 1)
    return pieces.conv_relu(x, f"cccp{2 * number}", channels, 1)


_PAPER = 'M. Lin, Q. Chen, S. Yan, "Network in network", ICLR 2014'
NIN = Backbone(nin, 224, 55, _PAPER, nin_classifier)
NIN_BN = Backbone(nin, 224, 55, _PAPER + BN, nin_classifier, normalised=True)
