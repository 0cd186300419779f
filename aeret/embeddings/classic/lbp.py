"""Describe photos by which textures are where.

Ojala, Pietikainen, Maenpaa, "Multiresolution gray-scale and rotation invariant texture classification with local binary
patterns", PAMI 2002: uniform patterns of 8 neighbours at radius 1 and 16 at radius 2. One histogram in each of 4 x 4
parts of the photo (Ahonen, Hadid, Pietikainen, PAMI 2006), square roots of the shares.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.feature import local_binary_pattern

from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors, grey

_RINGS = ((8, 1), (16, 2))  # neighbours, radius in pixels
_PARTS = 4


def _describe(photos: Photos) -> Vectors:
    squares = np.rint(grey(photos)).astype(np.uint8)
    side = photos.shape[1]
    part = np.arange(side) * _PARTS // side
    parts = part[:, None] * _PARTS + part
    return np.stack([_one(each, parts) for each in squares]).astype(np.float32)


def _one(square: NDArray[np.uint8], parts: NDArray[np.int64]) -> NDArray[np.float64]:
    found = []
    for neighbours, radius in _RINGS:
        patterns = neighbours + 2
        codes = local_binary_pattern(square, neighbours, radius, "uniform").astype(np.int64)  # type: ignore[no-untyped-call]
        counts = np.bincount((parts * patterns + codes).ravel(), minlength=_PARTS**2 * patterns)
        shares = counts.reshape(_PARTS**2, patterns) / np.bincount(parts.ravel())[:, None]
        found.append(np.sqrt(shares).ravel())
    return np.concatenate(found)


LBP = ClassicFeature("Ojala et al., Multiresolution gray-scale and rotation invariant texture, PAMI 2002", _describe)
