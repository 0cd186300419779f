"""Add the area coverage of run-length masks to a small grid.

A run of ones down the columns adds its two ends to a table of differences; a running sum gives coverage. The cost is
that of the runs: no mask is decoded.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]


@njit(cache=True, nogil=True, error_model="numpy")
def widen(window: _Int, top: int, bottom: int, left: int, right: int) -> None:
    """Enlarge a window to hold a rectangle of cells."""
    if top < bottom and left < right:
        window[0], window[1] = min(window[0], top), max(window[1], bottom)
        window[2], window[3] = min(window[2], left), max(window[3], right)


@njit(cache=True, nogil=True, error_model="numpy")
def _add_end(steps: _Float, column: int, y: float, weight: float) -> None:
    """Start (or, with a negative weight, end) at height ``y`` a strip that covers ``weight`` of one column of cells."""
    row = int(y)
    below = y - row
    steps[row, column] += weight * (1.0 - below)
    steps[row + 1, column] += weight * below


@njit(cache=True, nogil=True, error_model="numpy")
def _add_box(steps: _Float, size: int, x0: float, x1: float, y0: float, y1: float) -> None:
    """Add one rectangle, in cells."""
    for column in range(int(x0), min(int(np.ceil(x1)), size)):
        weight = min(x1, column + 1.0) - max(x0, float(column))
        _add_end(steps, column, y0, weight)
        _add_end(steps, column, y1, -weight)


@njit(cache=True, nogil=True, error_model="numpy")
def add_runs(
    out: _Float, window: _Int, steps: _Float, size: int, text: NDArray[np.uint8], height: int, width: int
) -> bool:
    """Add the coverage of one compressed RLE string to ``out``, cut at 1.

    ``steps`` (size + 2, size) is zero before and after. Returns False if the runs do not fill ``height * width``.
    """
    scale_x, scale_y = size / width, size / height
    pixels = height * width
    before, two_before = 0, 0
    position, index, at = 0, 0, 0
    sound = True
    first, last = size, 0
    while at < len(text) and sound:
        run, shift, more = 0, 0, True
        while more and at < len(text):
            code = int(text[at]) - 48
            at += 1
            run |= (code & 0x1F) << shift
            shift += 5
            more = (code & 0x20) != 0
            if not more and code & 0x10:
                run -= 1 << shift
            if code < 0 or code > 63 or shift > 40:
                sound = False
        if index > 2:
            run += two_before
        if more or run < 0 or position + run > pixels:
            sound = False
        elif index % 2 == 1 and run > 0:
            column, top = position // height, position % height
            first = min(first, int(column * scale_x))
            last = min(int(np.ceil(((position + run - 1) // height + 1) * scale_x)), size)
            left = run
            if top:
                part = min(left, height - top)
                _add_box(steps, size, column * scale_x, (column + 1) * scale_x, top * scale_y, (top + part) * scale_y)
                left -= part
                column += 1
            whole = left // height
            if whole:
                _add_box(steps, size, column * scale_x, (column + whole) * scale_x, 0.0, float(size))
                left -= whole * height
                column += whole
            if left:
                _add_box(steps, size, column * scale_x, (column + 1) * scale_x, 0.0, left * scale_y)
        position += run
        two_before, before = before, run
        index += 1
    widen(window, 0, size, first, last)
    for row in range(size):
        for column in range(first, last):
            out[row, column] = min(out[row, column] + max(steps[row, column], 0.0), 1.0)
            steps[row + 1, column] += steps[row, column]
            steps[row, column] = 0.0
    for row in range(size, size + 2):
        for column in range(first, last):
            steps[row, column] = 0.0
    return sound and position == pixels
