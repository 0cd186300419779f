"""Normalise embeddings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


def l2_normalise(vectors: NDArray[np.floating]) -> Vectors:
    """Return vectors of unit length, float32 (n, d); a vector of zeros stays zero.

    On unit vectors the squared Euclidean distance is 2 - 2 cos, so both similarities rank alike.
    """
    whole = np.array(vectors, np.float32, order="C")
    lengths = np.sqrt(np.einsum("nd,nd->n", whole, whole, dtype=np.float64))
    lengths[lengths == 0] = 1
    whole /= lengths[:, None].astype(np.float32)
    return whole


def _unchanged(vectors: NDArray[np.floating]) -> Vectors:
    return np.ascontiguousarray(vectors, np.float32)


NORMALISATIONS: dict[str, Callable[[NDArray[np.floating]], Vectors]] = {"l2": l2_normalise, "none": _unchanged}
