"""Check ids, and keep arrays in ascending order of id."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError


def checked_ids(ids: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Return ids as int64 (count,).

    Raises:
        UsageError: they are not ``count`` unique integers from 0 up.
    """
    whole = np.asarray(ids)
    if whole.shape != (count,) or (count and whole.dtype.kind not in "iu"):
        raise UsageError(f"ids must be {count} integers, one a vector; got {whole.dtype} of shape {whole.shape}.")
    whole = whole.astype(np.int64)
    ordered = np.sort(whole)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise UsageError(f"ids must be unique; {twice[0]} is given twice.")
    if count and ordered[0] < 0:
        raise UsageError(f"ids must not be negative (-1 means none), got {ordered[0]}.")
    return whole


def rows_of(known: NDArray[np.int64], ids: NDArray[np.int64], what: str) -> NDArray[np.int64]:
    """Return where ids stand among the ascending ids ``known``, int64 of the same shape.

    Raises:
        UsageError: an id is not known; ``what`` says what was to be done with it.
    """
    rows = np.searchsorted(known, ids)
    unknown = ids[known[np.minimum(rows, len(known) - 1)] != ids]
    if len(unknown):
        raise UsageError(f"Id {unknown[0]} cannot be {what}: the index does not hold it ({len(unknown)} such ids).")
    return rows


def by_id(vectors: NDArray[Any], ids: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return vectors and ids in ascending order of id; the same arrays if they are in order."""
    if (ids[1:] > ids[:-1]).all():
        return vectors, ids
    order = np.argsort(ids)
    return np.ascontiguousarray(vectors[order]), ids[order]


def inserted(array: NDArray[Any], values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return an array in which ``values`` take the given ascending rows of the numbering after."""
    return np.insert(array, rows - np.arange(len(rows)), values, axis=0)


def is_fixed(array: NDArray[Any]) -> bool:
    """Return whether an array lies in a file that was mapped for reading only."""
    holder: Any = array
    while isinstance(holder, np.ndarray):
        if isinstance(holder, np.memmap) and holder.mode == "r":
            return True
        holder = holder.base
    return False
