"""Register the backbones: one file a network, one line in :mod:`aeret.names`.

A backbone takes float32 (b, S, S, 3) photos in 0..255 RGB, normalises them itself and returns a map
(b, h, w, channels). Networks without suffix have the layers of their papers. ``-bn`` variants have batch normalisation
in place of biases and of local response normalisation, and train from scratch on a few thousand photos. ``-small``
variants have a stem that keeps resolution at small photos, and half the channels. ``bigru`` reads the rows of a photo
as a sequence: its number of parameters grows with the side.
"""

from aeret import names
from aeret.models.backbones.backbone import Backbone
from aeret.registry import Registry

BACKBONES: Registry[Backbone] = Registry(names.BACKBONES)
"""Name to backbone, as ``cnn.backbone`` names them."""

__all__ = ["BACKBONES", "Backbone"]
