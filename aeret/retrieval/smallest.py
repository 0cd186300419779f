"""Find the smallest of a few thousand keys in order, without sorting the rest."""

from __future__ import annotations

import numba

_SORT_BELOW = 24


@numba.njit(nogil=True, cache=True)
def sort_smallest(keys, count):  # type: ignore[no-untyped-def]
    """Rearrange different keys in place so that the first ``count`` are the smallest, in rising order.

    Quickselect (Hoare 1961); the parts are divided without a branch, which random keys would mispredict half the time.
    """
    low, high = 0, keys.shape[0]
    while high - low > _SORT_BELOW and low < count < high:
        a, b, c = keys[low], keys[(low + high) // 2], keys[high - 1]
        # The median of three different keys is not the smallest, so both parts have a key.
        pivot = max(min(a, b), min(max(a, b), c))
        split = low
        for j in range(low, high):
            key = keys[j]
            keys[j] = keys[split]
            keys[split] = key
            split += key < pivot
        if split <= count:
            low = split
        else:
            high = split
    if low < count < high:
        keys[low:high].sort()
    keys[:count].sort()
