"""Backbones: from a photo to a map of features; one file a network, one line here.

A backbone takes float32 (b, S, S, 3) photos in 0..255 RGB and normalises them itself; its map is (b, h, w, channels).
Side of the map by side of the photo:

=================  ======  ======  ======  ======  ========  ==================
backbone           64      96      128     224     channels  parameters, no head
=================  ======  ======  ======  ======  ========  ==================
alexnet            1       2       3       6       256       2,469,696
alexnet-small      3       5       7       13      128       614,304
alexnet-small-bn   3       5       7       13      256       1,940,672
resnet18           2       3       4       7       512       11,176,512
resnet18-small     4       6       8       14      256       2,795,040
=================  ======  ======  ======  ======  ========  ==================

The ``-small`` variants have a stem that keeps resolution at the small photos that a CPU can train on, and half the
channels to pay for it.
"""

from aeret.models.backbones.alexnet import alexnet, alexnet_small, alexnet_small_bn
from aeret.models.backbones.backbone import Backbone
from aeret.models.backbones.resnet18 import resnet18, resnet18_small

ALEXNET = (
    'A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014 (torchvision\'s AlexNet)'
)
RESNET = 'K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", CVPR 2016'

BACKBONES: dict[str, Backbone] = {
    "alexnet": Backbone(alexnet, 224, 63, ALEXNET, fully_connected=(4096, 4096)),
    "alexnet-small": Backbone(alexnet_small, 96, 29, ALEXNET + "; 5x5 stem of stride 2, half the channels"),
    "alexnet-small-bn": Backbone(
        alexnet_small_bn, 96, 25, ALEXNET + "; 7x7 stem of stride 4 without pooling, batch normalisation"
    ),
    "resnet18": Backbone(resnet18, 224, 16, RESNET),
    "resnet18-small": Backbone(
        resnet18_small, 96, 16, RESNET + "; 3x3 stem of stride 2, no pooling, half the channels"
    ),
}
"""Name -> backbone, as ``cnn.backbone`` names them."""

__all__ = ["BACKBONES", "Backbone"]
