"""Crops, flips and colour changes of whole batches that move a photo and its mask together.

A box is four shares of the stored square: ``y0, x0, y1, x1`` in [0, 1], measured from the top left corner. The same
box and the same flip given to :func:`crop_flip_photos` and :func:`crop_flip_masks` show the same part of the scene,
whatever the two resolutions are. Photos stay whole grey levels: what a network learns from and what it is asked with
are rounded alike. The kernels run on one core, release the GIL and use no fast-math: the same input gives the same
bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import numpy.typing as npt

from aeret.errors import UsageError

if TYPE_CHECKING:
    from aeret.data.masks import MaskPlanes

Floats = npt.NDArray[np.float32]
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601 luma, Pillow's convert("L")


def random_boxes(rng: np.random.Generator, count: int, smallest: float) -> Floats:
    """Draw boxes whose two sides are independent and uniform in [smallest, 1], placed uniformly inside the square.

    Args:
        rng: a generator of :mod:`aeret.rng`.
        count: how many.
        smallest: smallest side as a share of the square, in (0, 1]; 1 gives the whole square every time.

    Returns:
        float32 (count, 4): y0, x0, y1, x1 in [0, 1].

    Raises:
        UsageError: ``smallest`` or ``count`` is out of range.
    """
    if not 0 < smallest <= 1 or count < 0:
        raise UsageError(f"random_boxes: expected count >= 0 and 0 < smallest <= 1, got {count} and {smallest}.")
    sides = rng.uniform(smallest, 1.0, (count, 2)) if smallest < 1 else np.ones((count, 2))
    starts = rng.uniform(0.0, 1.0, (count, 2)) * (1.0 - sides)
    # Rounding to float32 may carry an end just past the edge.
    boxes: Floats = np.minimum(np.concatenate([starts, starts + sides], axis=1), 1.0).astype(np.float32)
    return boxes


def whole_boxes(count: int) -> Floats:
    """Return float32 (count, 4) boxes that keep the whole square."""
    boxes: Floats = np.tile(np.array([0, 0, 1, 1], np.float32), (count, 1))
    return boxes


def colour_factors(rng: np.random.Generator, count: int, strength: float) -> Floats:
    """Draw the factors of brightness, contrast and saturation, each uniform in [1 - strength, 1 + strength].

    Args:
        rng: a generator of :mod:`aeret.rng`; always 3 count draws, so the strength does not shift later draws.
        count: how many photos.
        strength: in [0, 1]; 0 gives ones, which change nothing.

    Returns:
        float32 (count, 3).

    Raises:
        UsageError: ``strength`` or ``count`` is out of range.
    """
    if not 0 <= strength <= 1 or count < 0:
        raise UsageError(f"colour_factors: expected count >= 0 and a strength in [0, 1], got {count} and {strength}.")
    factors: Floats = (1.0 + strength * rng.uniform(-1.0, 1.0, (count, 3))).astype(np.float32)
    return factors


def crop_flip_photos(
    photos: npt.NDArray[np.uint8],
    rows: npt.NDArray[np.int64],
    boxes: Floats,
    flips: npt.NDArray[np.bool_],
    size: int,
    factors: Floats | None = None,
) -> npt.NDArray[np.uint8]:
    """Cut one box out of each photo, resize it, mirror it left to right where asked, and change its colours.

    The filter is the triangle ("bilinear") widened by the reduction, as Pillow's ``resize(..., BILINEAR, box=box)``: it
    is antialiased at any reduction, and plain bilinear where the box is enlarged. Then come brightness, contrast and
    saturation, in this order: contrast pivots on the photo's mean grey (BT.601 luma), saturation on each pixel's grey.
    Between all these nothing is rounded; the end is clipped to 0..255 and rounded once to the nearest level, halves up.

    Args:
        photos: uint8 (n, S, S, 3); a mapped file is read where ``rows`` point, and not copied.
        rows: int64 (b,) rows of ``photos``; a row may come twice.
        boxes: float32 (b, 4), shares of the photo's side.
        flips: bool (b,).
        size: side of the result in pixels.
        factors: float32 (b, 3) of :func:`colour_factors`; colours stay as they are where not given.

    Returns:
        uint8 (b, size, size, 3).

    Raises:
        UsageError: a shape, type, row or box does not fit.
    """
    if photos.ndim != 4 or photos.shape[1] != photos.shape[2] or photos.shape[3] != 3 or photos.dtype != np.uint8:
        raise UsageError(
            f"crop_flip_photos: expected uint8 photos (b, S, S, 3), got {photos.dtype} {tuple(photos.shape)}."
        )
    rows = _checked_rows("crop_flip_photos", rows, len(photos))
    _check_boxes("crop_flip_photos", boxes, flips, len(rows), size)
    factors = np.ones((len(rows), 3), np.float32) if factors is None else factors
    if factors.shape != (len(rows), 3) or factors.dtype != np.float32:
        raise UsageError(
            f"crop_flip_photos: expected float32 factors ({len(rows)}, 3), got {factors.dtype} {factors.shape}."
        )
    flat = np.ascontiguousarray(photos).reshape(len(photos), photos.shape[1], photos.shape[1] * 3)
    result = np.empty((len(rows), size, size, 3), np.uint8)
    _crop_flip_photos(flat, rows, boxes.astype(np.float64), flips, factors, result.reshape(len(rows), size, size * 3))
    return result


def crop_flip_masks(
    planes: MaskPlanes,
    rows: npt.NDArray[np.int64],
    boxes: Floats,
    flips: npt.NDArray[np.bool_],
    size: int,
    out: Floats | npt.NDArray[np.uint8] | None = None,
) -> Floats | npt.NDArray[np.uint8]:
    """Cut one box out of the mask of each photo and mirror it: the share of each new cell's area that is covered.

    Exact: a cell of the result is the area-weighted mean of the 0/1 cells of the stored mask under it.

    Args:
        planes: stored masks.
        rows: int64 (b,) rows of ``planes``; a row may come twice.
        boxes: float32 (b, 4), shares of the mask's side.
        flips: bool (b,).
        size: side of the result in cells.
        out: where to write, (b, size, size, planes.categories), C order; float32, or uint8 where every box is whole and
            no cell is resized, so that all shares are 0 or 1. Allocated as float32 when not given. Reusing one saves
            the time of its page faults, most of the cost at 80 categories.

    Returns:
        ``out``, or float32 (b, size, size, planes.categories) in [0, 1].

    Raises:
        UsageError: a shape, row or box does not fit.
    """
    rows = _checked_rows("crop_flip_masks", rows, len(planes.offsets) - 1)
    _check_boxes("crop_flip_masks", boxes, flips, len(rows), size)
    shape = (len(rows), size, size, planes.categories)
    result = _output("crop_flip_masks", out, shape)
    if result.dtype == np.uint8 and not (size == planes.size and (boxes == whole_boxes(1)).all()):
        raise UsageError(
            "crop_flip_masks: out is uint8, which holds no shares of cells: give whole boxes and the stored size "
            f"{planes.size}, or a float32 out."
        )
    if out is not None:
        result.fill(0)
    stored = (np.asarray(planes.offsets), np.asarray(planes.category), np.asarray(planes.bits))
    if result.dtype == np.uint8:
        _flip_masks(*stored, rows, flips, result)
    else:
        _crop_flip_masks(*stored, planes.size, rows, boxes.astype(np.float64), flips, result)
    return result


def _checked_rows(name: str, rows: npt.ArrayLike, count: int) -> npt.NDArray[np.int64]:
    rows = np.asarray(rows, np.int64)
    if rows.ndim != 1 or (rows.size and (rows.min() < 0 or rows.max() >= count)):
        raise UsageError(f"{name}: expected rows (b,) in 0..{count - 1}, got {rows}.")
    return rows


def _check_boxes(name: str, boxes: Floats, flips: npt.NDArray[np.bool_], count: int, size: int) -> None:
    if boxes.shape != (count, 4) or flips.shape != (count,) or flips.dtype != np.bool_ or size < 1:
        raise UsageError(
            f"{name}: expected boxes ({count}, 4), bool flips ({count},) and size >= 1, got {boxes.shape}, "
            f"{flips.dtype} {flips.shape} and {size}."
        )
    fits = (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= 1).all() and (boxes[:, 2:] > boxes[:, :2]).all()
    if not fits:  # NaN fails every comparison, so it lands here too
        raise UsageError(f"{name}: expected boxes y0, x0, y1, x1 with 0 <= start < end <= 1, got {boxes.tolist()}.")


def _output(
    name: str, out: Floats | npt.NDArray[np.uint8] | None, shape: tuple[int, ...]
) -> Floats | npt.NDArray[np.uint8]:
    if out is None:
        return np.zeros(shape, np.float32)
    if out.shape != shape or out.dtype not in (np.float32, np.uint8) or not out.flags.c_contiguous:
        raise UsageError(
            f"{name}: expected C-ordered float32 or uint8 out {shape}, got {out.dtype} {tuple(out.shape)}."
        )
    return out


_jit: Any = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def _triangle_taps(start, end, side, size, first, count, weights):  # type: ignore[no-untyped-def]
    """Fill the taps of each of ``size`` results over ``side`` pixels, as Pillow's precompute_coeffs."""
    scale = (end - start) * side / size
    support = max(scale, 1.0)
    for i in range(size):
        centre = start * side + (i + 0.5) * scale
        low = max(0, int(centre - support + 0.5))
        high = min(side, int(centre + support + 0.5))
        total = 0.0
        for k in range(low, high):
            total += max(0.0, 1.0 - abs((k + 0.5 - centre) / support))
        for k in range(low, high):
            weights[i, k - low] = max(0.0, 1.0 - abs((k + 0.5 - centre) / support)) / total
        first[i] = low
        count[i] = high - low


@_jit
def _area_taps(start, end, side, size, first, count, weights):  # type: ignore[no-untyped-def]
    """Fill, for each of ``size`` results, the cells under it and the share of it that each covers."""
    step = (end - start) * side / size
    for i in range(size):
        low = start * side + i * step
        high = start * side + (i + 1) * step
        begin = min(int(low), side - 1)
        stop = min(max(int(np.ceil(high)), begin + 1), side)
        first[i] = begin
        count[i] = stop - begin
        for k in range(begin, stop):
            weights[i, k - begin] = max(0.0, min(high, k + 1.0) - max(low, float(k))) / step


@_jit
def _crop_flip_photos(photos, rows, boxes, flips, factors, out):  # type: ignore[no-untyped-def]
    """Resample uint8 (n, S, 3 S) into uint8 (b, size, 3 size), rows then columns, in loops that vectorise."""
    side = photos.shape[1]
    size = out.shape[1]
    width = 2 * int(np.ceil(max(1.0, side / size))) + 2
    first_y = np.empty(size, np.int64)
    first_x = np.empty(size, np.int64)
    count_y = np.empty(size, np.int64)
    count_x = np.empty(size, np.int64)
    weight_y = np.empty((size, width), np.float32)
    weight_x = np.empty((size, width), np.float32)
    # Longer than a photo's line: taps beyond a cell's own have weight 0, but are read.
    line = np.zeros(3 * (side + width), np.float32)
    # Unsigned: numba would check a signed index for being negative.
    source = np.empty(3 * size, np.uint32)
    weights = np.empty((width, 3 * size), np.float32)
    # One photo before rounding, each line as red, green, blue; small enough to stay in the processor's cache.
    exact = np.empty((size, 3 * size), np.float32)
    for b in range(rows.shape[0]):
        _triangle_taps(boxes[b, 0], boxes[b, 2], side, size, first_y, count_y, weight_y)
        _triangle_taps(boxes[b, 1], boxes[b, 3], side, size, first_x, count_x, weight_x)
        most = count_x.max()
        weights[:] = np.float32(0)
        for j in range(size):
            to = size - 1 - j if flips[b] else j
            for c in range(3):
                source[c * size + to] = 3 * first_x[j] + c
                for t in range(count_x[j]):
                    weights[t, c * size + to] = weight_x[j, t]
        photo = photos[rows[b]]
        left = 3 * first_x[0]
        right = 3 * (first_x[size - 1] + count_x[size - 1])
        row = line[left:right]
        for i in range(size):
            row[:] = np.float32(0)
            for t in range(count_y[i]):
                # Slices from 0: without them numba checks each index for a negative one and does not vectorise.
                above = photo[first_y[i] + t, left:right]
                weight = weight_y[i, t]
                for k in range(row.shape[0]):
                    row[k] += weight * np.float32(above[k])
            target = exact[i]
            weight_0, weight_1, line_1 = weights[0], weights[1], line[3:]
            for k in range(target.shape[0]):
                target[k] = weight_0[k] * line[source[k]] + weight_1[k] * line_1[source[k]]
            for t in range(2, most):
                weight_t, line_t = weights[t], line[3 * t :]
                for k in range(target.shape[0]):
                    target[k] += weight_t[k] * line_t[source[k]]
        _colour_and_round(exact, factors[b], out[b])


@_jit
def _colour_and_round(photo, factors, out):  # type: ignore[no-untyped-def]
    """Apply (brightness, contrast, saturation) to float32 (h, 3 w), colours apart, into uint8 (h, 3 w), interleaved."""
    height, width = photo.shape[0], photo.shape[1] // 3
    red_share, green_share, blue_share = np.float32(_GREY[0]), np.float32(_GREY[1]), np.float32(_GREY[2])
    brightness, contrast, saturation = factors[0], factors[1], factors[2]
    # Column by column: one running sum would wait for each addition.
    columns = np.zeros(3 * width, np.float32)
    for i in range(height):
        row = photo[i]
        for k in range(columns.shape[0]):
            columns[k] += row[k]
    total = 0.0
    for k in range(width):
        total += _GREY[0] * columns[k] + _GREY[1] * columns[width + k] + _GREY[2] * columns[2 * width + k]
    gain = brightness * contrast
    # contrast * (brightness * v - mean) + mean, with mean taken after brightness
    shift = np.float32((np.float32(1) - contrast) * brightness * total / (height * width))
    # grey + saturation * (v - grey), of v = gain * photo + shift; the shares of grey sum to 1
    own = saturation * gain
    common = (np.float32(1) - saturation) * gain
    half, most = np.float32(0.5), np.float32(255)
    for i in range(height):
        red, green, blue = photo[i, :width], photo[i, width : 2 * width], photo[i, 2 * width :]
        target = out[i]
        for j in range(width):
            base = common * (red_share * red[j] + green_share * green[j] + blue_share * blue[j]) + shift
            target[3 * j] = np.uint8(min(max(base + own * red[j], np.float32(0)), most) + half)
            target[3 * j + 1] = np.uint8(min(max(base + own * green[j], np.float32(0)), most) + half)
            target[3 * j + 2] = np.uint8(min(max(base + own * blue[j], np.float32(0)), most) + half)


@_jit
def _crop_flip_masks(offsets, category, bits, side, rows, boxes, flips, out):  # type: ignore[no-untyped-def]
    """Resample bit planes into (b, size, size, categories); ``out`` is zero on entry."""
    size = out.shape[1]
    width = int(np.ceil(side / size)) + 2
    first_y = np.empty(size, np.int64)
    first_x = np.empty(size, np.int64)
    count_y = np.empty(size, np.int64)
    count_x = np.empty(size, np.int64)
    weight_y = np.empty((size, width), np.float32)
    weight_x = np.empty((size, width), np.float32)
    cells = np.empty((side, side), np.float32)
    line = np.empty(side, np.float32)
    for b in range(rows.shape[0]):
        _area_taps(boxes[b, 0], boxes[b, 2], side, size, first_y, count_y, weight_y)
        _area_taps(boxes[b, 1], boxes[b, 3], side, size, first_x, count_x, weight_x)
        for p in range(offsets[rows[b]], offsets[rows[b] + 1]):
            # Most of a plane is empty: only the box around its set cells is worked on.
            top, bottom, left, right = _unpack(bits[p], cells)
            channel = category[p]
            for i in range(size):
                if first_y[i] >= bottom or first_y[i] + count_y[i] <= top:
                    continue
                line[:] = np.float32(0)
                for t in range(count_y[i]):
                    weight = weight_y[i, t]
                    source = cells[first_y[i] + t]
                    for k in range(side):
                        line[k] += weight * source[k]
                for j in range(size):
                    if first_x[j] >= right or first_x[j] + count_x[j] <= left:
                        continue
                    value = np.float32(0)
                    for t in range(count_x[j]):
                        value += weight_x[j, t] * line[first_x[j] + t]
                    # Weights of one cell sum to 1 but for rounding.
                    out[b, i, size - 1 - j if flips[b] else j, channel] = min(value, np.float32(1))


@_jit
def _flip_masks(offsets, category, bits, rows, flips, out):  # type: ignore[no-untyped-def]
    """Set the cells of bit planes in uint8 (b, side, side, categories); ``out`` is zero on entry."""
    side = out.shape[1]
    for b in range(rows.shape[0]):
        for p in range(offsets[rows[b]], offsets[rows[b] + 1]):
            channel = category[p]
            for n in range(bits.shape[1]):
                byte = bits[p, n]
                if byte == 0:
                    continue
                for k in range(8):
                    if (byte >> (7 - k)) & 1 and 8 * n + k < side * side:
                        y, x = divmod(8 * n + k, side)
                        out[b, y, side - 1 - x if flips[b] else x, channel] = 1


@_jit
def _unpack(bits, cells):  # type: ignore[no-untyped-def]
    """Write a plane's bits as 0 and 1; return the rows [top, bottom) and columns [left, right) that hold all ones."""
    side = cells.shape[0]
    flat = cells.reshape(-1)
    flat[:] = np.float32(0)
    top, bottom, left, right = side, 0, side, 0
    for n in range(bits.shape[0]):
        if bits[n] == 0:
            continue
        for k in range(8):
            at = 8 * n + k
            if at < flat.shape[0] and (bits[n] >> (7 - k)) & 1:
                flat[at] = np.float32(1)
                y, x = at // side, at % side
                top, bottom = min(top, y), max(bottom, y + 1)
                left, right = min(left, x), max(right, x + 1)
    return top, bottom, left, right
