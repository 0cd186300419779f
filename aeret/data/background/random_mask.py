"""The control: as much is kept as by the oracle, but in the shape and place of another photo's masks.

What the oracle gains over it comes from the background that is gone; what both gain or lose, from fewer pixels.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from aeret.data.background.foreground import Cells, Foreground, Photo


def of_area(shape: Cells, area: int) -> Cells:
    """Shrink or grow a shape, evenly along its outline, to an area in cells; bool (S, S), neither empty nor changed."""
    inside = distance_transform_edt(np.pad(shape, 1))[1:-1, 1:-1]
    depth = inside - distance_transform_edt(~shape)
    kept = np.zeros(shape.size, np.bool_)
    kept[np.argsort(-depth.ravel(), kind="stable")[:area]] = True
    return kept.reshape(shape.shape)


def _find(photo: Photo, own: Cells | None, other: Cells | None, seed: int) -> Cells | None:
    if own is None or not own.any():
        return None
    half = len(own) // 2
    # Where no other photo has masks, the own shape elsewhere.
    shape = other if other is not None and other.any() else np.roll(own, (half, half), (0, 1))
    return of_area(shape, int(own.sum()))


RANDOM_MASK = Foreground(_find, own_masks=True, other_masks=True)
