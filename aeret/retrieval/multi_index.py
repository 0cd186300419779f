"""Multi-index hashing (Norouzi, Punjani and Fleet 2012): exact nearest binary codes through tables of their substrings.

A code of ``bits`` is cut into ``m`` substrings of 8 or 16 bits, and each has a table. Two codes within ``m r + a`` bits
of one another agree to ``r`` bits in one of the first ``a + 1`` substrings, or to ``r - 1`` in one of the others; so
buckets are opened in steps of ``(r, a)``, and after each it is known to which distance all codes have been seen. The
search of a query ends when that distance holds enough results. Where buckets become more work than a scan of all
codes, it is a scan: so the search takes about twice as long as one at most. Buckets and their codes lie anywhere in
memory, and one costs as much as about two hundred codes of the scan; so tables pay from about a million codes on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.retrieval.bits import ones
from aeret.retrieval.hamming import Words, as_words, nearest_codes
from aeret.retrieval.smallest import sort_smallest

_LONG_FROM = 8192
_HALF, _ROW = np.uint64(32), np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Tables:
    """Buckets of all substrings of ``n`` codes of ``m`` substrings: 4 bytes per code and substring."""

    words: Words
    """The codes, uint64 (words, n)."""
    widths: NDArray[np.int64]
    """Bits of each substring, 8 or 16, int64 (m,)."""
    offsets: NDArray[np.int64]
    """Bucket v of substring s holds ``rows[s, offsets[s, v]:offsets[s, v + 1]]``; int64 (m, 65537)."""
    rows: NDArray[np.uint32]
    """uint32 (m, n), ascending in a bucket."""


def make_tables(codes: NDArray[np.uint8], substring: int = 0) -> Tables:
    """Return the tables of codes, uint8 (n, bytes).

    Args:
        codes: checked.
        substring: bits of a substring, 8 or 16; 0 takes 16 from some thousands of codes on, as the paper's rule
            (the logarithm of their number) has it.
    """
    parts = substrings(codes, substring or (16 if len(codes) >= _LONG_FROM else 8))
    buckets = 1 << (16 if any(part.dtype == np.uint16 for part in parts) else 8)
    offsets = np.zeros((len(parts), buckets + 1), np.int64)
    rows = np.empty((len(parts), len(codes)), np.uint32)
    for s, part in enumerate(parts):
        np.cumsum(np.bincount(part, minlength=buckets), out=offsets[s, 1:])
        rows[s] = np.argsort(part, kind="stable")
    return Tables(as_words(codes), np.array([8 * part.itemsize for part in parts]), offsets, rows)


def substrings(codes: NDArray[np.uint8], bits: int) -> list[NDArray[np.unsignedinteger]]:
    """Return the substrings of codes as numbers, each uint8 or uint16 (n,); a last odd byte is one of its own."""
    width = codes.shape[1]
    if bits == 8:
        return [np.ascontiguousarray(codes[:, b]) for b in range(width)]
    pairs = [np.ascontiguousarray(codes[:, b : b + 2]).view(np.uint16)[:, 0] for b in range(0, width - 1, 2)]
    return [*pairs, *([np.ascontiguousarray(codes[:, -1])] if width % 2 else [])]


def search_tables(
    queries: NDArray[np.uint8], tables: Tables, n: int, radius: int, exclude: NDArray[np.int64], cost: int = 200
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and bits, both int64 (q, n), and codes compared and buckets opened, both int64 (q,); ties by row.

    Runs on the calling thread alone. Memory: 12 bytes per code.

    Args:
        queries: checked codes, uint8 (q, bytes).
        tables: of the gallery.
        n: at most the gallery's codes, or one fewer where a query excludes a row.
        radius: a substring's buckets are opened to so many flipped bits and no farther, unless ``n`` results want it;
            with 16 the results are exact.
        exclude: row left out of each query's results, or -1; int64 (q,).
        cost: of opening a bucket and of comparing a code in it, in codes that the scan compares in that time; 0 for no
            scan ever.
    """
    count = len(queries)
    rows, far = np.empty((count, n), np.int64), np.empty((count, n), np.int64)
    scanned, opened = np.zeros(count, np.int64), np.zeros(count, np.int64)
    if n and count:
        parts = np.stack([part.astype(np.int64) for part in substrings(queries, int(tables.widths[0]))], axis=1)
        words = as_words(queries)
        _search(
            np.ascontiguousarray(words.T), parts, tables.words, tables.widths, tables.offsets, tables.rows, *_FLIPS,
            radius, cost, exclude, rows, far, scanned, opened,
        )  # fmt: skip
        # Together, so that they share what the cache holds.
        late = np.flatnonzero(scanned < 0)
        rows[late], far[late] = nearest_codes(words[:, late], tables.words, n, exclude[late])
        scanned[late] = tables.words.shape[1] - (exclude[late] >= 0)
    return rows, far, scanned, opened


def _flips() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return all numbers of 8 and of 16 bits in order of their ones, int64 (256 + 65536,), and where each count starts,
    twice int64 (18,)."""
    orders, starts = [], []
    for bits in (8, 16):
        ones = np.bitwise_count(np.arange(1 << bits))
        orders.append(np.argsort(ones, kind="stable"))
        starts.append(np.searchsorted(np.sort(ones), np.arange(18)) + (256 if bits == 16 else 0))
    return np.concatenate(orders), starts[0], starts[1]


_FLIPS = _flips()


@numba.njit(nogil=True, cache=True)
def _search(  # type: ignore[no-untyped-def]
    words, parts, codes, widths, offsets, table, flips, short, long, radius, cost, exclude, rows, far, scanned, opened
):
    count, wanted, substrings = codes.shape[1], rows.shape[1], parts.shape[1]
    seen = np.full(count, -1, np.int32)
    keys = np.empty(count, np.uint64)
    histogram = np.empty(64 * codes.shape[0] + 1, np.int64)
    for i in range(words.shape[0]):
        histogram[:] = 0
        found, work, sure = 0, 0, 0
        scan = False
        for step in range(17 * substrings):
            r, a = step // substrings, step % substrings
            if sure >= wanted or (r > radius and found >= wanted):
                break
            starts = short if widths[a] == 8 else long
            buckets = starts[r + 1] - starts[r]
            scan = cost * (work + buckets * (1 + (count >> widths[a]))) > count
            if scan:
                break
            before = found
            for f in range(starts[r], starts[r + 1]):
                bucket = parts[i, a] ^ flips[f]
                for p in range(offsets[a, bucket], offsets[a, bucket + 1]):
                    row = table[a, p]
                    work += 1
                    if seen[row] == i or row == exclude[i]:
                        continue
                    seen[row] = i
                    distance = np.uint64(0)
                    for t in range(codes.shape[0]):
                        distance += ones(words[i, t] ^ codes[t, row])
                    keys[found] = (distance << _HALF) | np.uint64(row)
                    histogram[distance] += 1
                    found += 1
            scanned[i] += found - before
            opened[i] += buckets
            work += buckets
            # All codes at distance ``step`` have been seen now, and no nearer one is to come.
            if step < histogram.shape[0]:
                sure += histogram[step]
        if scan:
            scanned[i] = -1  # the caller's, for all such queries
            continue
        sort_smallest(keys[:found], wanted)
        for j in range(wanted):
            rows[i, j] = keys[j] & _ROW
            far[i, j] = keys[j] >> _HALF
