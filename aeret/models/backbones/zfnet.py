"""ZFNet: an AlexNet whose first layers have smaller kernels and strides, found by looking at what they learn.

M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014: 62,357,608 parameters at 224 px
and 1,000 classes, a map of 6x6x256. The paper normalises contrast after the first two layers without giving its
constants: here it is local response normalisation over 3 channels. (The ZF of Faster R-CNN pads more and has larger
maps.)
"""

from __future__ import annotations

from typing import Any

from aeret.models.backbones.backbone import BN, Backbone, fully_connected
from aeret.models.backbones.pieces import Pieces


def zfnet(pieces: Pieces, photos: Any) -> Any:
    """Stack 96/7s2 256/5s2 384/3 384/3 256/3 with 3x3 poolings of stride 2 after the first, second and fifth."""
    x = pieces.local_response(pieces.conv_relu(photos, "conv1", 96, 7, 2, 1), "lrn1", 3, 5e-5)
    x = pieces.max_pool(x, "pool1", ceil=True)
    x = pieces.local_response(pieces.conv_relu(x, "conv2", 256, 5, 2), "lrn2", 3, 5e-5)
    x = pieces.max_pool(x, "pool2", ceil=True)
    for number, channels in ((3, 384), (4, 384), (5, 256)):
        x = pieces.conv_relu(x, f"conv{number}", channels, 3, padding=1)
    return pieces.max_pool(x, "pool5", ceil=True)


_PAPER = 'M. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014'
ZFNET = Backbone(zfnet, 224, 63, _PAPER, fully_connected)
ZFNET_BN = Backbone(zfnet, 224, 63, _PAPER + BN, fully_connected, normalised=True)
