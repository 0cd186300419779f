"""Candidates of a faiss index made a defined ranking: scored again in a fixed order, ties by row, nothing hidden.

faiss adds in an order that depends on the batch, and codes tie often. So a few candidates more than are wanted are
fetched, scored again by what their codes decode to, and sorted by distance and then by row. Where rounding or a tie at
the last candidate could hide a nearer one, more are fetched, up to all.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.retrieval.indexes.scoring import raw_of_pairs

_VALUES_AT_ONCE = 2**22
# Decoded values that stay in the cache until they are scored, in memory that is not fetched anew.
_DECODED_AT_ONCE = 2**17

Rows = NDArray[np.int64]
Fetch = Callable[[Rows, int], tuple[Vectors, Rows]]
"""(queries of the block int64 (s,), wanted) -> rough raw distances float32 (s, wanted), rising, and handles int64, -1
where there are no more."""
Decode = Callable[[Rows], tuple[Rows, Vectors]]
"""rising handles int64 (c,) -> rows int64 (c,) and decoded vectors float32 (c, d)."""


def refine(
    queries: Vectors,
    n: int,
    exclude: Rows,
    within: Rows,
    fetch: Fetch,
    decode: Decode,
    slack: NDArray[np.float64],
    dot: bool,
) -> tuple[Rows, Vectors]:
    """Return the rows, int64 (b, n), of the decoded vectors nearest to each query, and raw distances, float32 (b, n).

    Args:
        queries: in the space of the decoded vectors, float32 (b, d).
        n: at most as many as can be fetched for each query.
        exclude: row left out or -1, int64 (b,).
        within: vectors that can be fetched for each query, the one left out counted, int64 (b,).
        fetch: gives candidates.
        decode: gives what they decode to.
        slack: by how much a rough distance can differ from the fixed one, float64 (b,).
        dot: by product, not by Euclid.
    """
    rows, raw = np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32)
    left, wanted = np.arange(len(queries)), n + n // 4 + 8
    while len(left):
        wanted = min(wanted, int(within[left].max()))
        size = max(1, _VALUES_AT_ONCE // (wanted * queries.shape[1]))
        unsure = []
        for some in (left[start : start + size] for start in range(0, len(left), size)):
            rough, handles = fetch(some, wanted)
            found, scores = _scored(queries, some, handles, decode, dot)
            scores[found == exclude[some, None]] = np.inf
            order = np.lexsort((found, scores))[:, :n]
            rows[some], raw[some] = np.take_along_axis(found, order, 1), np.take_along_axis(scores, order, 1)
            hidden = (wanted < within[some]) & (rough[:, -1] - slack[some] <= raw[some, -1])
            unsure.append(some[hidden])
        left, wanted = np.concatenate(unsure), wanted * 4
    return rows, raw


def _scored(queries: Vectors, some: Rows, handles: Rows, decode: Decode, dot: bool) -> tuple[Rows, Vectors]:
    found, scores = np.full(handles.shape, -1, np.int64), np.full(handles.shape, np.inf, np.float32)
    # In rising order, so that what is decoded lies together.
    flat = handles.ravel()
    order = np.argsort(flat)
    place, column = np.divmod(order[np.searchsorted(flat, 0, sorter=order) :], handles.shape[1])
    size = max(1, _DECODED_AT_ONCE // queries.shape[1])
    for start in range(0, len(place), size):
        at = place[start : start + size], column[start : start + size]
        found[at], vectors = decode(handles[at])
        scores[at] = raw_of_pairs(queries, some[at[0]], vectors, dot)
    return found, scores
