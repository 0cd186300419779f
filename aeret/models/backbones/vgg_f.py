"""VGG-F, the fast network of Chatfield et al. 2014: an AlexNet with fewer channels in one tower.

K. Chatfield, K. Simonyan, A. Vedaldi, A. Zisserman, "Return of the devil in the details", BMVC 2014 (there CNN-F):
60,834,536 parameters at 224 px and 1,000 classes, a map of 6x6x256. Poolings round up, as in Caffe and MatConvNet.
"""

from __future__ import annotations

from typing import Any

from aeret.models.backbones.backbone import BN, Backbone, fully_connected
from aeret.models.backbones.pieces import Pieces


def vgg_f(pieces: Pieces, photos: Any) -> Any:
    """Stack 64/11s4 256/5 256/3 256/3 256/3 with 3x3 poolings of stride 2 after the first, second and fifth."""
    x = pieces.local_response(pieces.conv_relu(photos, "conv1", 64, 11, 4), "lrn1")
    x = pieces.max_pool(x, "pool1", ceil=True)
    x = pieces.local_response(pieces.conv_relu(x, "conv2", 256, 5, padding=2), "lrn2")
    x = pieces.max_pool(x, "pool2", ceil=True)
    for number in (3, 4, 5):
        x = pieces.conv_relu(x, f"conv{number}", 256, 3, padding=1)
    return pieces.max_pool(x, "pool5", ceil=True)


_PAPER = 'K. Chatfield, K. Simonyan, A. Vedaldi, A. Zisserman, "Return of the devil in the details", BMVC 2014'
VGG_F = Backbone(vgg_f, 224, 55, _PAPER, fully_connected)
VGG_F_BN = Backbone(vgg_f, 224, 55, _PAPER + BN, fully_connected, normalised=True)
