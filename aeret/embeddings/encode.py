"""Encode photos in parts into an embedding set on disk; a killed run resumes at the first missing part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.artifacts import digest
from aeret.embeddings.store import VECTORS, EmbeddingSet, write_rows
from aeret.errors import UsageError
from aeret.parts import Parts, divided
from aeret.progress import Progress, silent

Arrays = Mapping[str, NDArray[Any]]
_VECTORS = Path(VECTORS).stem


def write_parts(
    folder: Path,
    ids: NDArray[np.int64],
    encode: Callable[[NDArray[np.int64]], Arrays],
    *,
    part_size: int,
    columns: Arrays | None = None,
    made_by: Any = "",
    progress: Progress = silent,
    title: str = "embed photos",
) -> EmbeddingSet:
    """Encode photos part by part into an :class:`EmbeddingSet` on disk, and open it.

    Parts in the folder are kept if ids, part size and ``made_by`` are the same. One part is in memory at a time.

    Args:
        folder: of the set.
        ids: photo ids of all rows, int64 (n,).
        encode: from row numbers int64 (b,) to arrays with b rows: ``vectors`` float32 (b, d), and any others (b, m).
        part_size: rows in one part.
        columns: one value a photo, kept beside the ids.
        made_by: any JSON-able value that names the model.
        progress: shows photos done.
        title: of the progress bar.

    Raises:
        UsageError: ``encode`` returned something else than promised.
        DataError: the arrays of two parts do not fit each other.
    """
    if part_size < 1:
        raise UsageError(f"part_size must be at least 1, got {part_size}.")
    ids = np.asarray(ids, np.int64)
    job = {"ids": digest(ids.tolist()), "part_size": part_size, "made_by": made_by}
    parts = Parts(folder / "parts", job, divided(len(ids), part_size))

    def make(missing: list[int]) -> Iterator[Arrays]:
        for number in missing:
            rows = np.arange(number * part_size, min((number + 1) * part_size, len(ids)), dtype=np.int64)
            yield _checked(encode(rows), rows)

    parts.fill(make, progress, title)
    parts.join(folder)
    write_rows(folder, ids, columns or {})
    parts.clear()
    return EmbeddingSet.open(folder)


def _checked(arrays: Arrays, rows: NDArray[np.int64]) -> Arrays:
    if _VECTORS not in arrays or arrays[_VECTORS].dtype != np.float32:
        raise UsageError(f"An encoder must return {_VECTORS!r} as float32 (b, d); got {sorted(arrays)}.")
    for name, array in arrays.items():
        if array.ndim != 2 or len(array) != len(rows):
            raise UsageError(f"An encoder of {len(rows)} photos returned {name!r} of shape {array.shape}.")
    bad = np.flatnonzero(~np.isfinite(arrays[_VECTORS]).all(axis=1))
    if len(bad):
        raise UsageError(f"The embedding of row {rows[bad[0]]} holds NaN or infinity; the model has diverged.")
    return arrays
