"""Guess the foreground from the photo alone with GrabCut.

Rother, Kolmogorov, Blake, "GrabCut: interactive foreground extraction using iterated graph cuts", SIGGRAPH 2004, in
OpenCV's version with 5 iterations; the border of 5 % is certain background. A foreground of less than 5 % or more than
95 % of the photo is rejected.
"""

from __future__ import annotations

import numpy as np

from aeret.data.background.foreground import Cells, Foreground, Photo
from aeret.errors import UsageError

_INSET = 0.05
_ITERATIONS = 5
_LEAST, _MOST = 0.05, 0.95


def _demand() -> None:
    try:
        import cv2  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError(
            "data.background=grabcut needs OpenCV, which is not installed: pip install 'aeret[grabcut]', or choose "
            "another data.background."
        ) from None


def _find(photo: Photo, own: Cells | None, other: Cells | None, seed: int) -> Cells | None:
    import cv2

    side = len(photo)
    inset = max(1, round(_INSET * side))
    cells = np.zeros((side, side), np.uint8)
    cv2.setNumThreads(1)
    cv2.setRNGSeed(seed % 2**31)  # of its k-means, which starts the colour models
    rectangle = (inset, inset, side - 2 * inset, side - 2 * inset)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    try:
        cv2.grabCut(np.ascontiguousarray(photo), cells, rectangle, *models, _ITERATIONS, cv2.GC_INIT_WITH_RECT)
    except cv2.error:  # a photo of too few colours for two mixtures of five
        return None
    found = (cells == cv2.GC_FGD) | (cells == cv2.GC_PR_FGD)
    return np.asarray(found, np.bool_) if _LEAST <= found.mean() <= _MOST else None


GRABCUT = Foreground(_find, demand=_demand)
