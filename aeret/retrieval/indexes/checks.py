"""Check ids, options and knobs of an index, and keep arrays in ascending order of id."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.registry import lookup


def chosen(
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    what: str,
    values: Mapping[str, tuple[float | str, ...]] | None = None,
) -> dict[str, Any]:
    """Return all defaults, and in their place what is given.

    Args:
        given: name to value.
        defaults: name to value, of the type that is expected.
        what: the names are, for messages.
        values: of knobs, name to the values to try: a word must be among them, and a number may be infinite.

    Raises:
        UnknownNameError: a name or a word is unknown.
        UsageError: a value is of another type or below 0.
    """
    for name, value in given.items():
        usual = lookup(defaults, name, what)
        if isinstance(usual, str):
            if not isinstance(value, str):
                raise UsageError(f"{name}, a {what}, must be a word, got {value!r}.")
            if values is not None:
                lookup(dict.fromkeys(map(str, values[name])), value, name)
        elif not _is_like(value, usual, endless=values is not None):
            raise UsageError(f"{name}, a {what}, must be a number like {usual!r}, not below 0; got {value!r}.")
    return {**defaults, **given}


def _is_like(value: object, usual: object, endless: bool) -> bool:
    if isinstance(value, bool) or isinstance(usual, bool):
        return isinstance(value, bool) and isinstance(usual, bool)
    if not isinstance(value, int | float) or not value >= 0:
        return False
    return (endless and math.isinf(value)) or isinstance(usual, float) or int(value) == value


def one_of(value: int, allowed: tuple[int, ...], what: str) -> int:
    """Return a value that must be one of some."""
    if value not in allowed:
        raise UsageError(f"{what} must be one of {allowed}, got {value}.")
    return value


def within(value: int, least: int, most: int, what: str) -> int:
    """Return a whole number that must lie from ``least`` to ``most``."""
    if not least <= value <= most:
        raise UsageError(f"{what} must be from {least} to {most}, got {value}.")
    return int(value)


def parts_of(width: int, parts: int) -> int:
    """Return the number of parts that vectors are cut into, which must divide them; 0 means about eight dimensions."""
    divisors = [part for part in range(1, width + 1) if width % part == 0]
    if parts == 0:
        return max(part for part in divisors if part <= max(1, width // 8))
    if parts not in divisors:
        raise UsageError(f"Vectors of {width} dimensions cannot be cut into {parts} equal parts. Possible: {divisors}.")
    return parts


def checked_ids(ids: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Return ids as int64 (count,); they must be unique integers from 0 up."""
    whole = np.asarray(ids)
    if whole.shape != (count,) or (count and whole.dtype.kind not in "iu"):
        raise UsageError(f"ids must be {count} integers, one a vector; got {whole.dtype} of shape {whole.shape}.")
    whole = whole.astype(np.int64)
    found, counts = np.unique(whole, return_counts=True)
    if (counts > 1).any():
        raise UsageError(f"ids must be unique; {found[counts > 1][0]} is given twice.")
    if count and found[0] < 0:
        raise UsageError(f"ids must not be negative (-1 means none), got {found[0]}.")
    return whole


def rows_of(known: NDArray[np.int64], ids: NDArray[np.int64], what: str) -> NDArray[np.int64]:
    """Return the rows of ids among the ascending ids ``known``; ``what`` says what is to be done with them."""
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
