"""Keep as much as the oracle, in the shape of another photo's masks (the control).

The oracle's gain over it comes from the removed background; what both gain or lose comes from fewer pixels.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from aeret.data.background.foreground import Cells, Foreground, Photo


def of_area(shape: Cells, area: int) -> Cells:
    """Shrink or grow a non-empty shape bool (S, S) along its outline to an area in cells."""
    inside = distance_transform_edt(np.pad(shape, 1))[1:-1, 1:-1]
    depth = inside - distance_transform_edt(~shape)
    kept = np.zeros(shape.size, np.bool_)
    kept[np.argsort(-depth.ravel(), kind="stable")[:area]] = True
    return kept.reshape(shape.shape)


def _find(photo: Photo, own: Cells | None, other: Cells | None, seed: int) -> Cells | None:
    if own is None or not own.any():
        return None
    half = len(own) // 2
    # Without masks of another photo, the own shape at another place.
    shape = other if other is not None and other.any() else np.roll(own, (half, half), (0, 1))
    return of_area(shape, int(own.sum()))


RANDOM_MASK = Foreground(_find, own_masks=True, other_masks=True)
