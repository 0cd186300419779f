"""Run-length encoded masks of the COCO format: strings to run lengths, for a whole file at once.

The format is that of the COCO API (``rleFrString`` in Dollar's maskApi.c): column-major runs, first of zeros; six bits
a character from ``chr(48)``, of which five are value, the sixth says "more follows"; from the fourth run on the stored
number is the difference from the run two before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def decode_strings(strings: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the runs of many compressed RLE strings, in one vectorised pass (best some dozens of masks at a time).

    Args:
        strings: k ASCII strings as stored under ``counts``.

    Returns:
        ``offsets`` int64 (k+1) and ``runs`` int64 (r); string i holds ``runs[offsets[i]:offsets[i + 1]]``. A string
        that is no RLE gives runs that do not sum to its mask (a cut-off last number counts as it stands); nothing
        raises.
    """
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    code = np.frombuffer(b"".join(strings), np.uint8).astype(np.int64) - 48
    ends = np.cumsum(lengths)
    last = (code & 0x20) == 0
    last[ends[lengths > 0] - 1] = True
    offsets = np.concatenate(([0], np.cumsum(last)))[np.concatenate(([0], ends))]
    stops = np.flatnonzero(last)
    if not len(stops):
        return offsets, np.zeros(0, np.int64)
    starts = np.concatenate(([0], stops[:-1] + 1))
    digits = stops - starts + 1
    place = np.arange(len(code)) - np.repeat(starts, digits)
    values = np.add.reduceat((code & 0x1F) << np.minimum(5 * place, 60), starts)
    values -= np.where(code[stops] & 0x10, np.int64(1) << np.minimum(5 * digits, 62), 0)
    return offsets, _undo_differences(values, offsets)


def _undo_differences(values: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Add to each run, from its mask's fourth on, the run two before: two interleaved running sums a mask."""
    sums = np.empty_like(values)
    np.cumsum(values[0::2], out=sums[0::2])
    np.cumsum(values[1::2], out=sums[1::2])
    first = np.repeat(offsets[:-1], np.diff(offsets))
    local = np.arange(len(values)) - first
    # The chains start at runs 1 and 2 of the mask; run 0 stands alone.
    head = first + np.where(local > 0, 2 - local % 2, 0)
    return sums - sums[head] + values[head]


def encode_runs(offsets: NDArray[np.int64], runs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the compressed strings of masks given as runs: the inverse of :func:`decode_strings`.

    Args:
        offsets: int64 (k+1); mask i holds ``runs[offsets[i]:offsets[i + 1]]``.
        runs: int64 (r), pixels, below 2 ** 31.

    Returns:
        ``offsets`` int64 (k+1) and ``text`` uint8 (t): string i is ``text[offsets[i]:offsets[i + 1]]``.
    """
    local = np.arange(len(runs)) - np.repeat(offsets[:-1], np.diff(offsets))
    values = runs.copy()
    later = np.flatnonzero(local > 2)
    values[later] -= runs[later - 2]
    # A number needs as many groups of five bits as leave its sign bit right: seven hold any difference below 2 ** 31.
    sizes = np.ones(len(values), np.int64)
    for bits in range(4, 34, 5):
        sizes += (values >= (1 << bits)) | (values < -(1 << bits))
    ends = np.concatenate(([0], np.cumsum(sizes)))
    place = np.arange(ends[-1]) - np.repeat(ends[:-1], sizes)
    text = (np.repeat(values, sizes) >> (5 * place)) & 0x1F
    text |= np.where(place < np.repeat(sizes, sizes) - 1, 0x20, 0)
    return ends[offsets], (text + 48).astype(np.uint8)
