"""VGG-S, the slow network of Chatfield et al. 2014: a stem of stride 2 and poolings of stride 3.

K. Chatfield, K. Simonyan, A. Vedaldi, A. Zisserman, "Return of the devil in the details", BMVC 2014 (there CNN-S):
102,908,520 parameters at 224 px and 1,000 classes, a map of 6x6x512. Here conv2 has no padding (the paper's table says
1; the counts and the map are the same), poolings round up, and local response normalisation comes after conv1 only, as
in the paper's table, with the constants of AlexNet.
"""

from __future__ import annotations

from typing import Any

from aeret.models.backbones.backbone import BN, Backbone, fully_connected
from aeret.models.backbones.pieces import Pieces


def vgg_s(pieces: Pieces, photos: Any) -> Any:
    """Stack 96/7s2 256/5 512/3 512/3 512/3 with poolings 3x3s3, 2x2s2, 3x3s3 after the first, second and fifth."""
    x = pieces.local_response(pieces.conv_relu(photos, "conv1", 96, 7, 2), "lrn1")
    x = pieces.max_pool(x, "pool1", 3, 3, ceil=True)
    x = pieces.max_pool(pieces.conv_relu(x, "conv2", 256, 5), "pool2", 2, 2, ceil=True)
    for number in (3, 4, 5):
        x = pieces.conv_relu(x, f"conv{number}", 512, 3, padding=1)
    return pieces.max_pool(x, "pool5", 3, 3, ceil=True)


_PAPER = 'K. Chatfield, K. Simonyan, A. Vedaldi, A. Zisserman, "Return of the devil in the details", BMVC 2014'
VGG_S = Backbone(vgg_s, 224, 55, _PAPER, fully_connected)
VGG_S_BN = Backbone(vgg_s, 224, 55, _PAPER + BN, fully_connected, normalised=True)
