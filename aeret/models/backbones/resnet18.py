"""ResNet-18: a stem and four stages of two basic residual blocks, all under batch normalisation.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016: 11,689,512 trainable parameters at 1,000
classes, a map of 7x7x512 at 224 px. A block's first convolution carries the stride; a shortcut that changes shape is a
1x1 convolution.
"""

from __future__ import annotations

from typing import Any

import keras

from aeret.models.backbones.backbone import Backbone
from aeret.models.backbones.pieces import Pieces


def resnet18(pieces: Pieces, photos: Any) -> Any:
    """Stack the paper's network: 64/7s2, pooling, then 64, 128, 256, 512 channels."""
    x = pieces.relu(pieces.conv_norm(photos, "conv1", 64, 7, 2, 3), "conv1")
    return _stages(pieces, pieces.max_pool(x, "pool1", padding=1), 64)


def resnet18_small(pieces: Pieces, photos: Any) -> Any:
    """Stack the same stages with half the channels after a 3x3 stem of stride 2 without pooling: 6x6 at 96 px."""
    x = pieces.relu(pieces.conv_norm(photos, "conv1", 32, 3, 2, 1), "conv1")
    return _stages(pieces, x, 32)


def _stages(pieces: Pieces, x: Any, width: int) -> Any:
    for stage in range(4):
        channels = width << stage
        x = _block(pieces, x, f"stage{stage + 1}a", channels, 1 if stage == 0 else 2)
        x = _block(pieces, x, f"stage{stage + 1}b", channels, 1)
    return x


def _block(pieces: Pieces, x: Any, name: str, channels: int, stride: int) -> Any:
    y = pieces.relu(pieces.conv_norm(x, f"{name}_conv1", channels, 3, stride, 1), f"{name}_conv1")
    y = pieces.conv_norm(y, f"{name}_conv2", channels, 3, 1, 1)
    if stride > 1 or x.shape[-1] != channels:
        x = pieces.conv_norm(x, f"{name}_shortcut", channels, 1, stride)
    return pieces.relu(keras.layers.Add(name=f"{name}_sum")([x, y]), name)


_PAPER = 'K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016'
RESNET18 = Backbone(resnet18, 224, 16, _PAPER)
RESNET18_SMALL = Backbone(resnet18_small, 96, 16, _PAPER + "; 3x3 stem of stride 2, no pooling, half the channels")
