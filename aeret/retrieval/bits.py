"""Pack flags into words of 64 bits, and count the ones of a word."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

_PAIRS, _FOURS, _BYTES = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
_SUM = np.uint64(0x0101010101010101)


@numba.njit(inline="always")
def ones(word):  # type: ignore[no-untyped-def]
    """Return how many bits of a uint64 are set, in compiled code."""
    word = word - ((word >> np.uint64(1)) & _PAIRS)
    word = (word & _FOURS) + ((word >> np.uint64(2)) & _FOURS)
    word = (word + (word >> np.uint64(4))) & _BYTES
    return (word * _SUM) >> np.uint64(56)


def words_of_bools(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return bool (n, c) as words, uint64 (n, ceil(c / 64)), the unused bits zero."""
    return words_of_bytes(np.packbits(flags, axis=1))


def words_of_bytes(packed: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return packed bits, uint8 (n, b), as words, uint64 (n, ceil(b / 8)), the unused bits zero."""
    rows, width = packed.shape
    words = max(1, -(-width // 8))
    if width == words * 8 and packed.flags.c_contiguous:
        return packed.view(np.uint64)
    whole = np.zeros((rows, words * 8), np.uint8)
    whole[:, :width] = packed
    return whole.view(np.uint64)
