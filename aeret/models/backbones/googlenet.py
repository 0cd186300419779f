"""GoogLeNet: nine inception modules, each of four branches that look at different widths.

C. Szegedy et al., "Going deeper with convolutions", CVPR 2015, as published and as Caffe has it, with 5x5 convolutions
and biases: 6,998,552 parameters at 1,000 classes, a map of 7x7x1024 at 224 px; 13,378,280 with the two classifiers at
4a and 4d that helped its training. (torchvision's has batch normalisation and 3x3 in place of 5x5.)
"""

from __future__ import annotations

from typing import Any

import keras

from aeret.models.backbones.backbone import BN, Backbone, mean_of_map
from aeret.models.backbones.pieces import Pieces

MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Channels of the 1x1; of the 1x1 before the 3x3, and the 3x3; of the 1x1 before the 5x5, and the 5x5; of the 1x1 after
the pooling."""

AUXILIARY = ("4a", "4d")
"""Modules that the paper's auxiliary classifiers look at; their losses have weight 0.3."""


def googlenet(pieces: Pieces, photos: Any) -> Any:
    """Stack 64/7s2, 64/1, 192/3 and the inception modules; 3x3 poolings of stride 2 where the number changes."""
    x = pieces.max_pool(pieces.conv_relu(photos, "conv1", 64, 7, 2, 3), "pool1", ceil=True)
    x = pieces.conv_relu(pieces.local_response(x, "lrn1"), "conv2_reduce", 64, 1)
    x = pieces.local_response(pieces.conv_relu(x, "conv2", 192, 3, padding=1), "lrn2")
    stage = "2"
    for name, channels in MODULES.items():
        if name[0] != stage:
            x, stage = pieces.max_pool(x, f"pool{stage}", ceil=True), name[0]
        x = _inception(pieces, x, name, channels)
    return x


def googlenet_classifier(pieces: Pieces, x: Any, classes: int) -> Any:
    """Stack the global mean, dropout 0.4 and the classes; without the auxiliary classifiers."""
    return mean_of_map(pieces, x, classes, 0.4)


def auxiliary_classifiers(pieces: Pieces, backbone: Any, classes: int) -> list[Any]:
    """Return the logits (b, classes) of the two auxiliary classifiers of a backbone.

    They want a map of at least 5x5 at 4a, so photos of 65 px: 5x5 mean pooling of stride 3, 128/1, fc 1024, dropout.
    """
    logits = []
    for module in AUXILIARY:
        name = f"auxiliary_{module}"
        x = backbone.get_layer(module).output
        # From 14x14 rounding up and down are the same.
        x = keras.layers.AveragePooling2D(5, 3, name=f"{name}_pool")(x)
        x = keras.layers.Flatten(name=f"{name}_flatten")(pieces.conv_relu(x, f"{name}_conv", 128, 1))
        x = pieces.dropout(pieces.dense(x, f"{name}_fc", 1024), f"{name}_dropout", 0.7)
        logits.append(pieces.dense(x, f"{name}_classes", classes, None, "float32"))
    return logits


def _inception(pieces: Pieces, x: Any, name: str, channels: tuple[int, ...]) -> Any:
    one, before_three, three, before_five, five, after_pool = channels
    middle = pieces.conv_relu(x, f"{name}_3x3_reduce", before_three, 1)
    wide = pieces.conv_relu(x, f"{name}_5x5_reduce", before_five, 1)
    branches = [
        pieces.conv_relu(x, f"{name}_1x1", one, 1),
        pieces.conv_relu(middle, f"{name}_3x3", three, 3, padding=1),
        pieces.conv_relu(wide, f"{name}_5x5", five, 5, padding=2),
        pieces.conv_relu(pieces.max_pool(x, f"{name}_pool", 3, 1, 1), f"{name}_pool_proj", after_pool, 1),
    ]
    return keras.layers.Concatenate(name=name)(branches)


_PAPER = 'C. Szegedy et al., "Going deeper with convolutions", CVPR 2015'
GOOGLENET = Backbone(googlenet, 224, 47, _PAPER, googlenet_classifier)
GOOGLENET_BN = Backbone(googlenet, 224, 47, _PAPER + BN, googlenet_classifier, normalised=True)
