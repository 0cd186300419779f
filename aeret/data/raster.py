"""Turn polygons and run lengths into exact area coverage on a small grid.

A photo of any shape is stretched to a square of ``size`` by ``size`` cells. The coverage of a cell is the area of the
mask inside it over the area of the cell. Nothing is drawn at the photo's own resolution: the cost is that of the
outline.

Each edge of a polygon adds, to the cells it passes, the signed area between itself and the right border of the grid; a
running sum along each row then gives the winding number times the area (the accumulation buffer of font rasterisers,
e.g. Levien's font-rs, 2016). Its absolute value, cut at 1, is the coverage: the *non-zero* rule, so that a part that
winds twice around an area covers it once. pycocotools fills by the even-odd rule; the two differ only where a part
crosses itself. Parts are united by adding their coverages and cutting at 1. Edges are clipped at the photo's border.

Kernels that add coverage widen a *window* (first row, end row, first column, end column) to what they touched; clearing
and reading a grid costs the window, not the grid.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aeret.data.raster_runs import add_runs, widen

_Float = NDArray[np.float64]
_Int = NDArray[np.int64]


@njit(cache=True, nogil=True, error_model="numpy")
def _add_clipped(acc: _Float, size: int, x0: float, y0: float, x1: float, y1: float) -> None:
    """Add one edge whose x is within 0..size; y may be anything within 0..size too. Rows are cells of height 1."""
    if y0 == y1:
        return
    sign = 1.0
    if y0 > y1:
        x0, y0, x1, y1 = x1, y1, x0, y0
        sign = -1.0
    slope = (x1 - x0) / (y1 - y0)
    x = x0
    row = min(int(y0), size - 1)
    last = min(int(np.ceil(y1)), size)
    while row < last:
        top = max(y0, float(row))
        bottom = min(y1, row + 1.0)
        height = bottom - top
        after = x1 if bottom == y1 else x0 + slope * (bottom - y0)
        after = min(max(after, 0.0), float(size))
        area = sign * height
        left, right = (x, after) if x < after else (after, x)
        first = int(left)
        end = int(np.ceil(right))
        if end <= first + 1:
            # Within one cell: the trapezoid to the right of the edge, and the whole of every later cell.
            middle = 0.5 * (left + right) - first
            acc[row, first] += area * (1.0 - middle)
            acc[row, first + 1] += area * middle
        else:
            # Across several cells: the share of each below the edge grows as a parabola, a line, a parabola.
            inverse = 1.0 / (right - left)
            head = 1.0 - (left - first)
            share = 0.5 * inverse * head * head
            acc[row, first] += area * share
            tail = right - (end - 1)
            rest = 0.5 * inverse * tail * tail
            if end == first + 2:
                acc[row, first + 1] += area * (1.0 - share - rest)
            else:
                second = inverse * (head + 0.5)
                acc[row, first + 1] += area * (second - share)
                for column in range(first + 2, end - 1):
                    acc[row, column] += area * inverse
                third = second + (end - first - 3) * inverse
                acc[row, end - 1] += area * (1.0 - third - rest)
            acc[row, end] += area * rest
        x = after
        row += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _add_edge(acc: _Float, size: int, x0: float, y0: float, x1: float, y1: float) -> None:
    """Add one edge in cells, cut at the borders: dropped above and below, moved to the border left and right."""
    top = float(size)
    if y0 == y1 or (y0 <= 0 and y1 <= 0) or (y0 >= top and y1 >= top):
        return
    # Times along the edge at which it crosses a border, in order.
    t0, t1 = 0.0, 1.0
    dy = y1 - y0
    low, high = (0.0 - y0) / dy, (top - y0) / dy
    if low > high:
        low, high = high, low
    t0, t1 = max(t0, low), min(t1, high)
    dx = x1 - x0
    cut0, cut1 = t1, t1
    if dx != 0:
        cut0, cut1 = (0.0 - x0) / dx, (top - x0) / dx
        if cut0 > cut1:
            cut0, cut1 = cut1, cut0
    cut0 = min(max(cut0, t0), t1)
    cut1 = min(max(cut1, t0), t1)
    start = t0
    for end in (cut0, cut1, t1):
        if end > start:
            ax = min(max(x0 + start * dx, 0.0), top)
            bx = min(max(x0 + end * dx, 0.0), top)
            ay = min(max(y0 + start * dy, 0.0), top)
            by = min(max(y0 + end * dy, 0.0), top)
            _add_clipped(acc, size, ax, ay, bx, by)
            start = end


@njit(cache=True, nogil=True, error_model="numpy")
def _clear(out: _Float, window: _Int) -> None:
    """Set the cells of a window to 0, and make the window empty."""
    for row in range(window[0], window[1]):
        for column in range(window[2], window[3]):
            out[row, column] = 0.0
    window[0], window[1], window[2], window[3] = len(out), 0, len(out), 0


@njit(cache=True, nogil=True, error_model="numpy")
def _add_part(
    out: _Float, window: _Int, acc: _Float, size: int, points: _Float, scale_x: float, scale_y: float
) -> None:
    """Add the coverage of one polygon part to ``out``, cut at 1. ``acc`` (size, size + 2) is zero before and after."""
    count = points.shape[0]
    low_x, high_x, low_y, high_y = np.inf, -np.inf, np.inf, -np.inf
    px, py = points[count - 1, 0] * scale_x, points[count - 1, 1] * scale_y
    for i in range(count):
        x, y = points[i, 0] * scale_x, points[i, 1] * scale_y
        low_x, high_x = min(low_x, x), max(high_x, x)
        low_y, high_y = min(low_y, y), max(high_y, y)
        _add_edge(acc, size, px, py, x, y)
        px, py = x, y
    first_row = int(min(max(low_y, 0.0), float(size)))
    last_row = int(np.ceil(min(max(high_y, 0.0), float(size))))
    first = int(min(max(low_x, 0.0), float(size)))
    last = min(int(np.ceil(min(max(high_x, 0.0), float(size)))), size)
    widen(window, first_row, last_row, first, last)
    for row in range(first_row, last_row):
        total = 0.0
        for column in range(first, last):
            total += acc[row, column]
            acc[row, column] = 0.0
            out[row, column] = min(out[row, column] + abs(total), 1.0)
        acc[row, last] = 0.0
        acc[row, last + 1 if last < size else size + 1] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def add_annotation(
    out: _Float,
    window: _Int,
    acc: _Float,
    steps: _Float,
    size: int,
    kind: int,
    parts: _Int,
    points: _Float,
    text: NDArray[np.uint8],
    height: int,
    width: int,
) -> bool:
    """Add the coverage of one annotation to ``out``, cut at 1.

    Args:
        out: float64 (size, size); coverage so far.
        window: int64 (4) of the cells that may be above 0, widened.
        acc: float64 (size, size + 2) of zeros, left as zeros.
        steps: float64 (size + 2, size) of zeros, left as zeros.
        size: cells along each side.
        kind: 0 no mask, 1 polygons, 2 run lengths.
        parts: int64 (k + 1) offsets into ``points``.
        points: float64 (m, 2) x, y in pixels.
        text: uint8 (t) compressed run lengths.
        height: pixels of the photo.
        width: pixels of the photo.

    Returns:
        False where the run lengths do not fill the photo.
    """
    if kind == 1:
        for part in range(len(parts) - 1):
            if parts[part + 1] > parts[part]:
                _add_part(out, window, acc, size, points[parts[part] : parts[part + 1]], size / width, size / height)
    elif kind == 2:
        return add_runs(out, window, steps, size, text, height, width)
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def cover_annotations(
    covered: NDArray[np.float32],
    rows: _Int,
    kind: NDArray[np.uint8],
    part_offsets: _Int,
    point_offsets: _Int,
    points: _Float,
    rle_offsets: _Int,
    rle_text: NDArray[np.uint8],
    photo: NDArray[np.int32],
    heights: NDArray[np.int32],
    widths: NDArray[np.int32],
) -> int:
    """Write the coverage of each annotation in ``rows`` into ``covered``, and return the first with bad runs or -1.

    ``covered`` is float32 (k, size, size) of zeros; only cells that are covered are touched, so that memory which the
    system has yet to give is not asked for. The columns are those of ``Collection``; ``photo`` is the row of each
    annotation's photo in ``heights`` and ``widths``.
    """
    size = covered.shape[1]
    out, window = np.zeros((size, size)), np.array([size, 0, size, 0])
    acc, steps = np.zeros((size, size + 2)), np.zeros((size + 2, size))
    bad = -1
    for k in range(len(rows)):
        row = rows[k]
        parts = point_offsets[part_offsets[row] : part_offsets[row + 1] + 1]
        text = rle_text[rle_offsets[row] : rle_offsets[row + 1]]
        height, width = heights[photo[row]], widths[photo[row]]
        sound = add_annotation(out, window, acc, steps, size, kind[row], parts, points, text, height, width)
        if not sound and bad < 0:
            bad = row
        for y in range(window[0], window[1]):
            for x in range(window[2], window[3]):
                covered[k, y, x] = out[y, x]
        _clear(out, window)
    return bad


@njit(cache=True, nogil=True, error_model="numpy")
def cover_planes(
    plane_offsets: _Int,
    rows: _Int,
    size: int,
    threshold: float,
    kind: NDArray[np.uint8],
    part_offsets: _Int,
    point_offsets: _Int,
    points: _Float,
    rle_offsets: _Int,
    rle_text: NDArray[np.uint8],
    photo: NDArray[np.int32],
    heights: NDArray[np.int32],
    widths: NDArray[np.int32],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], int]:
    """Unite annotations to planes of bits: plane p holds ``rows[plane_offsets[p]:plane_offsets[p + 1]]``.

    Returns:
        ``bits`` uint8 (p, ceil(size * size / 8)), row-major, the first cell in the highest bit; ``filled`` bool (p),
        whether any cell is set; and the first annotation row with bad runs or -1.
    """
    planes = len(plane_offsets) - 1
    bits = np.zeros((planes, (size * size + 7) // 8), np.uint8)
    filled = np.zeros(planes, np.bool_)
    out, window = np.zeros((size, size)), np.array([size, 0, size, 0])
    acc, steps = np.zeros((size, size + 2)), np.zeros((size + 2, size))
    bad = -1
    # A cell that is covered by the threshold but for rounding counts.
    least = threshold - 1e-9
    for plane in range(planes):
        for k in range(plane_offsets[plane], plane_offsets[plane + 1]):
            row = rows[k]
            parts = point_offsets[part_offsets[row] : part_offsets[row + 1] + 1]
            text = rle_text[rle_offsets[row] : rle_offsets[row + 1]]
            height, width = heights[photo[row]], widths[photo[row]]
            sound = add_annotation(out, window, acc, steps, size, kind[row], parts, points, text, height, width)
            if not sound and bad < 0:
                bad = row
        for y in range(window[0], window[1]):
            for x in range(window[2], window[3]):
                cell = y * size + x
                set_here = out[y, x] >= least
                bits[plane, cell >> 3] |= np.uint8(set_here << (7 - (cell & 7)))
                filled[plane] |= set_here
        _clear(out, window)
    return bits, filled, bad
