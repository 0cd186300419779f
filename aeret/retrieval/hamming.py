"""Find the nearest binary codes by Hamming distance, exactly; ties by row.

Codes are columns of 64-bit words, so that the distances of a block of codes are one loop over neighbours in memory.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.retrieval.bits import ones, words_of_bytes

Words = NDArray[np.uint64]

_MOST_BYTES = 8191  # distances are kept as uint16
# A block's distances are one short vector loop; a tile of codes stays in the cache while all queries pass over it.
_BLOCK, _TILE = 128, 16_384
_MOST_INSERTED = 1024  # results from which on sorting all distances is faster


def checked_codes(codes: NDArray[np.generic], name: str, width: int | None = None) -> NDArray[np.uint8]:
    """Return codes, uint8 (n, bits / 8) or bool (n, bits), as contiguous uint8.

    Raises:
        UsageError: they are neither, not ``width`` bytes wide, or too long.
    """
    if codes.ndim != 2 or codes.dtype not in (np.uint8, np.bool_):
        raise UsageError(
            f"{name} must be uint8 (n, bits / 8) as numpy.packbits makes them, or bool (n, bits); "
            f"got {codes.dtype} {codes.shape}."
        )
    if codes.dtype == np.bool_:
        if codes.shape[1] % 8:
            raise UsageError(f"{name} have {codes.shape[1]} bits; a multiple of 8 is needed (fill up with zeros).")
        codes = np.packbits(codes.astype(np.bool_), axis=1)
    if not codes.shape[1]:
        raise UsageError(f"{name} have no bits.")
    if codes.shape[1] > _MOST_BYTES:
        raise UsageError(f"{name} have {8 * codes.shape[1]} bits; at most {8 * _MOST_BYTES} can be compared.")
    if width is not None and codes.shape[1] != width:
        raise UsageError(f"{name} have {8 * codes.shape[1]} bits where {8 * width} were expected.")
    return np.ascontiguousarray(codes, np.uint8)


def as_words(codes: NDArray[np.uint8]) -> Words:
    """Return codes, uint8 (n, bytes), as columns of words, uint64 (words, n), filled up with zeros."""
    return words_of_bytes(codes).T.copy()  # never a view of the codes


def as_codes(words: Words, width: int) -> NDArray[np.uint8]:
    """Return the codes, uint8 (n, width), of columns of words; the reverse of :func:`as_words`."""
    return np.ascontiguousarray(np.ascontiguousarray(words.T).view(np.uint8)[:, :width])


def nearest_codes(
    queries: Words, codes: Words, n: int, exclude: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and distances in bits of the ``n`` nearest codes, both int64 (q, n); ties by row.

    Runs on the calling thread alone. Queries are uint64 (words, q), codes uint64 (words, g); a query leaves out its row
    of ``exclude``, int64 (q,), unless that is -1.
    """
    rows = np.empty((queries.shape[1], n), np.int64)
    distances = np.full(rows.shape, 64 * len(codes) + 1, np.int64)
    if n > _MOST_INSERTED:
        for i, query in enumerate(queries.T):
            far = np.bitwise_count(codes ^ query[:, None]).sum(axis=0, dtype=np.uint16)
            if exclude[i] >= 0:
                far[exclude[i]] = np.iinfo(np.uint16).max
            rows[i] = np.argsort(far, kind="stable")[:n]
            distances[i] = far[rows[i]]
    elif rows.size:
        _scan(np.ascontiguousarray(queries.T), codes, exclude, rows, distances)
    return rows, distances


@numba.njit(nogil=True, cache=True)
def _scan(queries, codes, exclude, rows, distances):  # type: ignore[no-untyped-def]
    """Insert every code that is nearer than the last result; ``distances`` start beyond the farthest possible."""
    count, last = codes.shape[1], rows.shape[1] - 1
    far = np.empty(_BLOCK, np.uint64)
    for tile in range(0, count, _TILE):
        for i in range(queries.shape[0]):
            for start in range(tile, min(tile + _TILE, count), _BLOCK):
                size = min(_BLOCK, count - start)
                far[:] = 0
                for t in range(codes.shape[0]):
                    _add(queries[i, t], codes[t, start : start + size], far)
                if far[:size].min() >= distances[i, last]:
                    continue
                for j in range(size):
                    d = np.int64(far[j])
                    if d < distances[i, last] and start + j != exclude[i]:
                        place = last
                        while place > 0 and distances[i, place - 1] > d:
                            distances[i, place], rows[i, place] = distances[i, place - 1], rows[i, place - 1]
                            place -= 1
                        distances[i, place], rows[i, place] = d, start + j


@numba.njit(nogil=True, cache=True)
def _add(word, column, far):  # type: ignore[no-untyped-def]
    for j in range(column.shape[0]):
        far[j] += ones(word ^ column[j])
