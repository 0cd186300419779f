"""Describe photos by which colours they have, wherever they are.

Swain, Ballard, "Color indexing", IJCV 1991; here over hue, saturation and value. The square root of each share makes
the cosine of two histograms their Bhattacharyya coefficient (Arandjelovic, Zisserman, CVPR 2012).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors

_BINS = (8, 4, 4)  # hue, saturation, value


def _describe(photos: Photos) -> Vectors:
    hsv = np.stack([np.asarray(Image.fromarray(each).convert("HSV")) for each in photos]).astype(np.int64)
    place = np.zeros(photos.shape[:3], np.int64)
    for channel, bins in enumerate(_BINS):
        place = place * bins + hsv[..., channel] * bins // 256
    size = int(np.prod(_BINS))
    flat = place.reshape(len(photos), -1) + np.arange(len(photos))[:, None] * size
    counts = np.bincount(flat.ravel(), minlength=len(photos) * size).reshape(len(photos), size)
    return np.asarray(np.sqrt(counts / flat.shape[1]), np.float32)


COLOUR_HISTOGRAM = ClassicFeature("Swain, Ballard, Color indexing, IJCV 1991", _describe)
