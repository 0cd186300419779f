"""The discriminator of DCGAN: four strided convolutions with leaky ReLU, batch normalisation on all but the first.

A. Radford, L. Metz, S. Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks", ICLR 2016: a map of 4x4x512 at 64 px. ``cnn.pretraining=gan`` pretrains it with the paper's optimiser and
generator. Its own kernels start as those of all backbones here do (He's initialiser), not from the paper's N(0, 0.02).
"""

from __future__ import annotations

from typing import Any

import keras

from aeret.models.backbones.backbone import Backbone
from aeret.models.backbones.pieces import Pieces

SLOPE = 0.2


def dcgan_discriminator(pieces: Pieces, photos: Any) -> Any:
    """Stack 64/4s2p1, 128/4s2p1, 256/4s2p1, 512/4s2p1."""
    x = _leaky(pieces.conv(photos, "conv1", 64, 4, 2, 1), "conv1")
    for number, channels in enumerate((128, 256, 512), start=2):
        name = f"conv{number}"
        x = _leaky(pieces.conv_norm(x, name, channels, 4, 2, 1), name)
    return x


def _leaky(x: Any, name: str) -> Any:
    return keras.layers.LeakyReLU(negative_slope=SLOPE, name=f"{name}_relu")(x)


_PAPER = (
    'A. Radford, L. Metz, S. Chintala, "Unsupervised representation learning with deep convolutional generative '
    'adversarial networks", ICLR 2016'
)
DCGAN_DISCRIMINATOR = Backbone(dcgan_discriminator, 64, 16, _PAPER)
