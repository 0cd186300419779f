"""The raw photo, small, along its principal axes.

Torralba, Fergus, Freeman, "80 million tiny images", PAMI 2008, here 16 x 16
colour photos; the axes are those of *train*.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors

_SIDE = 16


def _describe(photos: Photos) -> Vectors:
    small = [Image.fromarray(each).resize((_SIDE, _SIDE), Image.Resampling.BOX) for each in photos]
    return (np.stack([np.asarray(each).ravel() for each in small]) / np.float32(255)).astype(np.float32)


THUMBNAIL_PCA = ClassicFeature("Torralba, Fergus, Freeman, 80 million tiny images, PAMI 2008", _describe, principal=128)
