"""Crop, flip and recolour batches so that a photo and its mask move together.

A box is four shares of the stored square: ``y0, x0, y1, x1`` in [0, 1], measured from the top left corner. The same
box and flip given to :func:`crop_flip_photos` and :func:`crop_flip_masks` show the same part of the scene at any two
resolutions. Photos stay whole grey levels: what a network learns from and what it is asked with are rounded alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from aeret.data.photo_crops import crop_flip_kernel
from aeret.errors import UsageError

if TYPE_CHECKING:
    from aeret.data.masks import MaskPlanes

Floats = npt.NDArray[np.float32]


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
    """Cut one box out of each photo, resize it, mirror it where ``flips`` says so, and change its colours.

    The filter is Pillow's ``resize(..., BILINEAR, box=box)``: antialiased at any reduction. Then come brightness,
    contrast around the photo's mean grey (BT.601 luma) and saturation around each pixel's grey, in this order. Nothing
    is rounded in between; the end is clipped to 0..255 and rounded once to the nearest level, halves up.

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
    crop_flip_kernel(flat, rows, boxes.astype(np.float64), flips, factors, result.reshape(len(rows), size, size * 3))
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
        out: where to write, C-ordered (b, size, size, planes.categories); float32, or uint8 if every box is whole and
            no cell is resized. Reusing one saves its page faults, most of the cost at 80 categories.

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
    batch, stored = planes.planes_of(rows)
    cells = planes.cells(stored)
    if result.dtype == np.uint8:
        cells[flips[batch]] = cells[flips[batch], :, ::-1]
        result[batch, :, :, planes.category[stored]] = cells
        return result
    down = _area_weights(boxes[:, 0], boxes[:, 2], planes.size, size)
    across = _area_weights(boxes[:, 1], boxes[:, 3], planes.size, size)
    across[flips] = across[flips, ::-1]
    covered = down[batch] @ cells.astype(np.float32) @ across[batch].transpose(0, 2, 1)
    # The weights of one cell sum to 1 except for rounding.
    result[batch, :, :, planes.category[stored]] = np.minimum(covered, 1)
    return result


def _area_weights(starts: Floats, ends: Floats, side: int, size: int) -> Floats:
    """Return float32 (b, size, side): the share of each new cell that each of ``side`` stored cells covers."""
    start, end = starts.astype(np.float64)[:, None, None], ends.astype(np.float64)[:, None, None]
    step = (end - start) * side / size
    low = start * side + np.arange(size)[:, None] * step
    high = start * side + np.arange(1, size + 1)[:, None] * step
    stored = np.arange(side)
    covered = np.minimum(high, stored + 1) - np.maximum(low, stored)
    return np.asarray(np.maximum(covered, 0) / step, np.float32)


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
