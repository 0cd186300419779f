"""Describe photos by where edges of which direction are.

Dalal, Triggs, "Histograms of oriented gradients for human detection", CVPR 2005: 9 directions, 2 x 2 cells a block,
L2-Hys. The photo is always 8 x 8 cells, so the vector is 1764 long for photos of any size.
"""

from __future__ import annotations

import numpy as np
from skimage.feature import hog

from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors, grey

_CELLS = 8


def _describe(photos: Photos) -> Vectors:
    cell = photos.shape[1] // _CELLS
    side = cell * _CELLS
    start = (photos.shape[1] - side) // 2  # what 8 cells do not fill is left over at the edges
    squares = grey(photos[:, start : start + side, start : start + side])
    return np.stack([hog(each, 9, (cell, cell), (2, 2), block_norm="L2-Hys") for each in squares]).astype(np.float32)


HOG = ClassicFeature("Dalal, Triggs, Histograms of oriented gradients for human detection, CVPR 2005", _describe)
