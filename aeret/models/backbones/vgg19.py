"""VGG-19: sixteen 3x3 convolutions in five groups.

K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015: 143,667,240
parameters at 224 px and 1,000 classes, a map of 7x7x512.
"""

from __future__ import annotations

from typing import Any

from aeret.models.backbones.backbone import BN, Backbone, fully_connected
from aeret.models.backbones.pieces import Pieces


def vgg19(pieces: Pieces, photos: Any) -> Any:
    """Stack 64 x2, 128 x2, 256 x4, 512 x4, 512 x4, a 2x2 pooling after each group."""
    x = photos
    for group, (channels, depth) in enumerate(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)), start=1):
        for number in range(1, depth + 1):
            x = pieces.conv_relu(x, f"conv{group}_{number}", channels, 3, padding=1)
        x = pieces.max_pool(x, f"pool{group}", 2, 2)
    return x


_PAPER = 'K. Simonyan, A. Zisserman, "Very deep convolutional networks for large-scale image recognition", ICLR 2015'
VGG19 = Backbone(vgg19, 224, 32, _PAPER, fully_connected)
VGG19_BN = Backbone(vgg19, 224, 32, _PAPER + BN, fully_connected, normalised=True)
