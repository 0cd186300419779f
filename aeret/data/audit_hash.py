"""Hash prepared photos by what they show, and find pairs whose hashes are near.

The hash is that of the DCT (pHash, Zauner 2010): the signs of 64 low frequencies of a small grey picture. Brightness,
contrast, re-encoding and a slight crop or resize leave most of them. Mirroring a photo flips the sign of every odd
horizontal frequency, so the hash of the mirror image follows from the hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

Hashes = npt.NDArray[np.uint64]
Grey = npt.NDArray[np.float32]

SIDE = 32
"""Side of the hashed grey picture, pixels."""
FLAT = 2.0
"""Least standard deviation of the levels (0 to 255) of a picture worth comparing."""
_CELLS = 1 << 22  # of a block of distances
_BANDS = 10  # low frequencies a side, of which the 64 lowest are taken
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def _frequencies() -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return vertical and horizontal frequencies of the 64 bits, lowest first, without the mean."""
    vertical, horizontal = (axis.ravel() for axis in np.indices((_BANDS, _BANDS)))
    order = np.lexsort((horizontal, vertical, vertical**2 + horizontal**2))[1:65]
    return vertical[order], horizontal[order]


_VERTICAL, _HORIZONTAL = _frequencies()
MIRROR = np.bitwise_or.reduce(np.where(_HORIZONTAL % 2 == 1, np.uint64(1) << np.arange(64, dtype=np.uint64), 0))
"""uint64: the bits that change when a photo is mirrored left to right."""


def grey_thumbnails(photos: npt.NDArray[np.uint8], side: int = SIDE) -> Grey:
    """Shrink photos to grey squares, each pixel the mean of the area under it.

    Args:
        photos: uint8 (b, S, S, 3).
        side: of the result, pixels.

    Returns:
        float32 (b, side, side), levels 0 to 255.
    """
    grey = photos.astype(np.float32) @ _LUMA
    weights = window(photos.shape[1], side, 0.0, 1.0)
    return np.asarray(weights @ grey @ weights.T, np.float32)


def window(size: int, side: int, start: float, stop: float) -> npt.NDArray[np.float32]:
    """Return area weights that resize the part [start, stop) of ``size`` pixels to ``side``.

    Args:
        size: pixels of the source.
        side: pixels of the result.
        start: begin of the part, share of the whole.
        stop: end of the part, share of the whole.

    Returns:
        float32 (side, size), each row adding up to 1.
    """
    edges = np.linspace(start * size, stop * size, side + 1)
    pixels = np.arange(size)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.maximum(covered, 0)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def perceptual_hashes(grey: Grey) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """Hash grey pictures.

    Args:
        grey: float32 (b, side, side), levels 0 to 255.

    Returns:
        The hashes, uint64 (b,), and whether a picture is more than a plain surface, bool (b,).
    """
    spectrum = dctn(grey, axes=(1, 2), norm="ortho")
    bits = spectrum[:, _VERTICAL, _HORIZONTAL] > 0
    packed = np.ascontiguousarray(np.packbits(bits, axis=1, bitorder="little"))
    hashes = packed.view(np.dtype("<u8"))[:, 0].astype(np.uint64)
    return hashes, np.asarray(grey.std(axis=(1, 2)) >= FLAT)


def near_pairs(
    first: Hashes, second: Hashes, bits: int, most: int, done: Callable[[int], Any] = lambda count: None
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Yield the pairs of hashes that differ in few bits, block by block.

    Args:
        first: uint64 (n,).
        second: uint64 (m,).
        bits: most bits that differ.
        most: pairs kept for each of ``second``: the nearest, ties by row.
        done: called with how many more of ``second`` are done.

    Yields:
        Rows of ``first`` and of ``second``, int64 (k,) each.
    """
    if not len(first):
        return
    # All distances are counted: multi-index hashing saves nothing at the wide radius that near-duplicates need.
    block = max(1, _CELLS // len(first))
    for start in range(0, len(second), block):
        distances = np.bitwise_count(second[start : start + block, None] ^ first)
        own, other = np.nonzero(distances <= bits)
        counts = np.bincount(own, minlength=len(distances))
        if (counts > most).any():
            order = np.lexsort((other, distances[own, other], own))
            rank = np.arange(len(own)) - np.repeat(np.cumsum(counts) - counts, counts)
            kept = order[rank < most]
            own, other = own[kept], other[kept]
        yield other.astype(np.int64), own.astype(np.int64) + start
        done(len(distances))
