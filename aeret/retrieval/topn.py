"""The N smallest of many (distance, row) pairs, ties by row, in compiled code.

A pair is one 64-bit key: the bits of a non-negative float32 order like the number, so ``bits << 32 | row`` orders by
distance and then by row.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

FAR = np.uint64(0xFFFFFFFFFFFFFFFF)
"""A key behind every real one."""
_SHIFT, _ROW = np.uint64(32), np.uint64(0xFFFFFFFF)


def decode(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return rows int64 and distances float32 (not squared) of keys of squared distances."""
    squared = (keys >> _SHIFT).astype(np.uint32).view(np.float32)
    return (keys & _ROW).astype(np.int64), np.sqrt(squared)


@numba.njit(nogil=True, cache=True)
def keep_smallest(heap, key):  # type: ignore[no-untyped-def]
    """Replace the largest key of a max-heap by a smaller one."""
    size = heap.shape[0]
    parent = 0
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= key:
            break
        heap[parent] = heap[child]
        parent = child
    heap[parent] = key
