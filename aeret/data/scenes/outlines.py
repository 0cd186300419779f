"""Trace masks into COCO segmentations: polygons or run lengths."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aeret.data.rle import encode_runs

Mask = npt.NDArray[np.bool_]

SMALLEST_PART = 6
"""Fewest pixels of a part or hole that is kept."""


def outlines(
    mask: Mask, left: int = 0, top: int = 0
) -> tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.float64]]]:
    """Trace the closed curves around the parts and the holes of a mask.

    Parts are 4-connected. A curve runs through the middles of the pixel edges on the border, so it encloses the mask up
    to the corners it cuts.

    Args:
        mask: bool (height, width).
        left: x of the mask's first column.
        top: y of the mask's first row.

    Returns:
        Outer curves and holes, each a list of float64 (k, 2) points (x, y); parts and holes smaller than
        :data:`SMALLEST_PART` pixels are left out.
    """
    following = _edges(mask)
    origin = np.array([left, top], dtype=np.float64)
    parts: list[npt.NDArray[np.float64]] = []
    holes: list[npt.NDArray[np.float64]] = []
    while following:
        start = next(iter(following))
        loop = _follow(following, start)
        corners = np.array([vertex for vertex, _ in loop], dtype=np.float64)
        area = _signed_area(corners)
        if abs(area) >= SMALLEST_PART:
            (parts if area > 0 else holes).append(_soften(corners) + origin)
    return parts, holes


def polygon_area(points: npt.NDArray[np.float64]) -> float:
    """Return the area inside a closed curve, px^2 (the shoelace formula)."""
    return abs(_signed_area(points))


def runs(mask: Mask) -> npt.NDArray[np.int64]:
    """Return COCO's uncompressed RLE: column-major run lengths, zeros first."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [not mask[-1, -1]]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], changes])).astype(np.int64)


def compressed(mask: Mask) -> str:
    """Return the runs of a mask as COCO's compressed string."""
    lengths = runs(mask)
    _, text = encode_runs(np.array([0, len(lengths)]), lengths)
    return text.tobytes().decode("ascii")


_Vertex = tuple[int, int]
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def _edges(mask: Mask) -> dict[tuple[_Vertex, int], _Vertex]:
    """Return border edges as (start, direction) -> end, the inside on their right."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    found: dict[tuple[_Vertex, int], _Vertex] = {}
    sides = (
        (inside & ~padded[:-2, 1:-1], 0, 0, 0),  # the upper edge of a pixel runs right from its upper left corner
        (inside & ~padded[1:-1, 2:], 1, 1, 0),
        (inside & ~padded[2:, 1:-1], 2, 1, 1),
        (inside & ~padded[1:-1, :-2], 3, 0, 1),
    )
    for border, direction, right, below in sides:
        rows, columns = np.nonzero(border)
        step_x, step_y = _STEPS[direction]
        for y, x in zip((rows + below).tolist(), (columns + right).tolist(), strict=True):
            found[(x, y), direction] = (x + step_x, y + step_y)
    return found


def _follow(following: dict[tuple[_Vertex, int], _Vertex], start: tuple[_Vertex, int]) -> list[tuple[_Vertex, int]]:
    loop = []
    key = start
    while True:
        loop.append(key)
        vertex = following.pop(key)
        direction = key[1]
        # Where two corners touch, turn right: that keeps to the same pixel, so parts are 4-connected.
        for turn in (1, 0, 3):
            key = (vertex, (direction + turn) % 4)
            if key in following:
                break
        else:
            return loop


def _soften(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the middles of the unit edges, without those on straight lines."""
    around = np.concatenate([corners[-1:], corners, corners[:2]])
    middles = (around[1:] + around[:-1]) / 2
    steps = middles[1:] - middles[:-1]
    bends = steps[:-1, 0] * steps[1:, 1] != steps[:-1, 1] * steps[1:, 0]
    kept: npt.NDArray[np.float64] = middles[1:-1][bends]
    return kept


def _signed_area(points: npt.NDArray[np.float64]) -> float:
    x, y = points[:, 0], points[:, 1]
    return float(x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1]) / 2
