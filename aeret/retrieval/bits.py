"""Bit words: label sets and mask planes as unsigned 64-bit integers, and the count of their ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray


def _ones(typing_context, word):  # type: ignore[no-untyped-def]

    def build(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), build


ones: Any = intrinsic(_ones)
"""``ones(word)`` in compiled code: how many bits of a uint64 are set, one instruction, in vectors where the processor
has it."""


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
