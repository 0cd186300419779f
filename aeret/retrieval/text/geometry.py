"""Define relations, places and sizes on boxes (y0, x0, y1, x1, relative to the photo).

- ``A left of B``: A's centre is at least 0.05 further left, and the horizontal offset is at least the vertical one.
  ``right``, ``above`` and ``below`` follow the same rule.
- ``A on B``: A's bottom edge lies between 0.05 above B's top and 0.05 below B's bottom, A's centre is above B's, and
  the boxes share at least half of the narrower one's width.
- ``A in B``: at least 0.8 of A's box is inside B's, which is larger.
- ``A near B``: the gap between the boxes is at most 0.1.
- ``left``, ``right``, ``top``, ``bottom`` of the photo: the centre is in that third; ``middle``: in the middle third
  along both axes.
- ``big``, ``small``: the area is in the top or bottom quartile of the category in the train split.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating]
Flags = NDArray[np.bool_]

STEP, TOUCH, INSIDE, GAP, THIRD = 0.05, 0.05, 0.8, 0.1, 1 / 3


def related(kind: str, first: Boxes, second: Boxes) -> Flags:
    """Return whether each ``first`` box (m, 4) has a relation to each ``second`` (k, 4), bool (m, k)."""
    return _RELATED[kind](first[:, None, :], second[None, :, :])


def placed(place: str, boxes: Boxes) -> Flags:
    """Return whether each box (m, 4) is at a place of the photo, bool (m,)."""
    y, x = _centre(boxes)
    if place == "middle":
        return np.asarray((np.abs(y - 0.5) <= THIRD / 2) & (np.abs(x - 0.5) <= THIRD / 2))
    return np.asarray({"left": x <= THIRD, "right": x >= 1 - THIRD, "top": y <= THIRD, "bottom": y >= 1 - THIRD}[place])


def areas(boxes: Boxes) -> NDArray[np.floating]:
    """Return the areas of boxes (..., 4) relative to the photo."""
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))


def _centre(boxes: Boxes) -> tuple[Boxes, Boxes]:
    return (boxes[..., 0] + boxes[..., 2]) / 2, (boxes[..., 1] + boxes[..., 3]) / 2


def _left(a: Boxes, b: Boxes) -> Flags:
    (ay, ax), (by, bx) = _centre(a), _centre(b)
    return np.asarray((bx - ax >= STEP) & (bx - ax >= np.abs(by - ay)))


def _above(a: Boxes, b: Boxes) -> Flags:
    (ay, ax), (by, bx) = _centre(a), _centre(b)
    return np.asarray((by - ay >= STEP) & (by - ay >= np.abs(bx - ax)))


def _overlap(a: Boxes, b: Boxes) -> tuple[Boxes, Boxes]:
    """Return the vertical and horizontal overlap of boxes; negative values are gaps."""
    down = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    across = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    return down, across


def _on(a: Boxes, b: Boxes) -> Flags:
    foot, (ay, _), (by, _) = a[..., 2], _centre(a), _centre(b)
    narrower = np.minimum(a[..., 3] - a[..., 1], b[..., 3] - b[..., 1])
    rests = (foot >= b[..., 0] - TOUCH) & (foot <= b[..., 2] + TOUCH)
    return np.asarray(rests & (ay < by) & (_overlap(a, b)[1] >= narrower / 2))


def _in(a: Boxes, b: Boxes) -> Flags:
    down, across = _overlap(a, b)
    shared = np.maximum(down, 0) * np.maximum(across, 0)
    return np.asarray((shared >= INSIDE * areas(a)) & (areas(a) < areas(b)))


def _near(a: Boxes, b: Boxes) -> Flags:
    down, across = _overlap(a, b)
    return np.asarray(np.hypot(np.maximum(-down, 0), np.maximum(-across, 0)) <= GAP)


_RELATED: dict[str, Callable[[Boxes, Boxes], Flags]] = {
    "left": _left,
    "right": lambda a, b: _left(b, a),
    "above": _above,
    "below": lambda a, b: _above(b, a),
    "on": _on,
    "in": _in,
    "near": _near,
}
