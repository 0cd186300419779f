"""Find the nearest binary codes by Hamming distance, exactly, two to three times as fast as faiss.

Codes are stored as columns of 64-bit words, so that the distances of a block are one loop over neighbours in memory,
which the compiler turns into vector instructions. A block whose smallest distance cannot enter the results costs
nothing more. Ties go to the earlier row.
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


def checked_codes(codes: NDArray[np.generic], name: str, width: int | None = None) -> NDArray[np.uint8]:
    """Return codes as contiguous uint8 (n, bits / 8).

    Args:
        codes: uint8 (n, bits / 8) as :func:`numpy.packbits` makes them, or bool (n, bits) with bits a multiple of 8.
        name: of the codes, for messages.
        width: bytes that a code must have.

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

    Runs on the calling thread alone. Memory: 24 bytes per query and result, besides the results.

    Args:
        queries: uint64 (words, q).
        codes: uint64 (words, g).
        n: at most ``g``, or ``g - 1`` where a query excludes a row.
        exclude: row left out of each query's results, or -1; int64 (q,).
    """
    count = queries.shape[1]
    rows, distances = np.empty((count, n), np.int64), np.empty((count, n), np.int64)
    if n and count:
        _nearest_codes(np.ascontiguousarray(queries.T), codes, exclude, rows, distances)
    return rows, distances


@numba.njit(nogil=True, cache=True)
def _nearest_codes(queries, codes, exclude, rows, distances):  # type: ignore[no-untyped-def]
    words, count = codes.shape
    wanted, capacity = rows.shape[1], 2 * rows.shape[1] + 64
    bits = 64 * words
    # Per query: how many were taken at each distance, the distance that a code must undercut, how many are under it.
    histogram = np.zeros((queries.shape[0], bits + 1), np.int64)
    limit = np.full(queries.shape[0], np.uint64(bits + 1))
    under = np.zeros(queries.shape[0], np.int64)
    filled = np.zeros(queries.shape[0], np.int64)
    kept_rows = np.empty((queries.shape[0], capacity), np.int64)
    kept_far = np.empty((queries.shape[0], capacity), np.uint16)
    far = np.empty(_BLOCK, np.uint64)
    for tile in range(0, count, _TILE):
        for i in range(queries.shape[0]):
            for start in range(tile, min(tile + _TILE, count), _BLOCK):
                stop = min(start + _BLOCK, count)
                if words == 1 and _least(queries[i, 0], codes[0, start:stop]) >= limit[i]:
                    continue
                if _distances(queries[i], codes, start, stop, far) >= limit[i]:
                    continue
                for j in range(stop - start):
                    if far[j] >= limit[i] or start + j == exclude[i]:
                        continue
                    if filled[i] == capacity:
                        filled[i] = _compact(kept_rows[i], kept_far[i], filled[i], limit[i], wanted - under[i])
                    kept_rows[i, filled[i]], kept_far[i, filled[i]] = start + j, far[j]
                    filled[i] += 1
                    histogram[i, far[j]] += 1
                    under[i] += 1
                    while under[i] >= wanted:
                        limit[i] -= np.uint64(1)
                        under[i] -= histogram[i, limit[i]]
    place = np.empty(bits + 2, np.int64)
    for i in range(queries.shape[0]):
        size = _compact(kept_rows[i], kept_far[i], filled[i], limit[i], wanted - under[i])
        place[:] = 0
        for j in range(size):
            place[kept_far[i, j] + 1] += 1
        for t in range(bits + 1):
            place[t + 1] += place[t]
        for j in range(size):
            d = kept_far[i, j]
            rows[i, place[d]], distances[i, place[d]] = kept_rows[i, j], d
            place[d] += 1


@numba.njit(nogil=True, cache=True)
def _least(word, column):  # type: ignore[no-untyped-def]
    least = np.uint64(64)
    for j in range(column.shape[0]):
        least = min(least, ones(word ^ column[j]))
    return least


@numba.njit(nogil=True, cache=True)
def _distances(query, codes, start, stop, far):  # type: ignore[no-untyped-def]
    """Write the distances of the codes from ``start`` to ``stop``, and return the smallest."""
    least = np.uint64(0xFFFFFFFF)
    far[:] = 0
    for t in range(codes.shape[0]):
        _add(query[t], codes[t, start:stop], far)
    for j in range(stop - start):
        least = min(least, far[j])
    return least


@numba.njit(nogil=True, cache=True)
def _add(word, column, far):  # type: ignore[no-untyped-def]
    for j in range(column.shape[0]):
        far[j] += ones(word ^ column[j])


@numba.njit(nogil=True, cache=True)
def _compact(rows, far, size, limit, ties):  # type: ignore[no-untyped-def]
    """Keep those under the limit and the first ``ties`` at it; return how many."""
    kept = 0
    for j in range(size):
        at = far[j] == limit
        if far[j] < limit or (at and ties > 0):
            rows[kept], far[kept] = rows[j], far[j]
            kept += 1
            ties -= at
    return kept
