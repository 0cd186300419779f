"""Find things in masks: the connected components of category planes.

Prepared masks keep one plane per category and photo, so touching instances count as one thing and an occluded one may
count as two. Components smaller than a tenth of the largest of their category in the photo are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from aeret.data.masks import MaskPlanes

CRUMB = 0.1
_PLANES_AT_ONCE = 8192


@dataclass(frozen=True)
class Things:
    """Connected components of ``n`` photos, grouped by photo."""

    offsets: NDArray[np.int64]
    """int64 (n + 1); photo i owns the things ``offsets[i]`` to ``offsets[i + 1]``."""
    category: NDArray[np.int16]
    """Row of the category, int16 (t,), ascending within a photo."""
    boxes: NDArray[np.float32]
    """float32 (t, 4): y0, x0, y1, x1, relative to the photo."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def of(self, photo: int) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Return the categories and boxes of one photo's things."""
        span = slice(int(self.offsets[photo]), int(self.offsets[photo + 1]))
        return self.category[span], self.boxes[span]


def things_of(masks: MaskPlanes) -> Things:
    """Find the 8-connected components of mask planes."""
    size, planes = masks.size, len(masks.category)
    plane, boxes = [np.empty(0, np.int64)], [np.empty((0, 4), np.float32)]
    within = np.zeros((3, 3, 3), bool)
    within[1] = True  # neighbours in the same plane only
    for start in range(0, planes, _PLANES_AT_ONCE):
        bits = np.unpackbits(masks.bits[start : start + _PLANES_AT_ONCE], axis=1, count=size * size)
        parts, count = ndimage.label(bits.reshape(-1, size, size), structure=within)
        if not count:
            continue
        found = ndimage.find_objects(parts)
        area = np.bincount(parts.ravel(), minlength=count + 1)[1:]
        home = np.array([box[0].start for box in found], np.int64)
        edges = np.array([[box[1].start, box[2].start, box[1].stop, box[2].stop] for box in found], np.float32)
        largest = np.zeros(len(bits), np.int64)
        np.maximum.at(largest, home, area)
        kept = area >= CRUMB * largest[home]
        plane.append(home[kept] + start)
        boxes.append(edges[kept] / np.float32(size))
    of_plane = np.concatenate(plane)
    order = np.argsort(of_plane, kind="stable")
    of_plane = of_plane[order]
    offsets = np.searchsorted(of_plane, np.asarray(masks.offsets)).astype(np.int64)
    return Things(offsets, np.asarray(masks.category)[of_plane].astype(np.int16), np.concatenate(boxes)[order])
