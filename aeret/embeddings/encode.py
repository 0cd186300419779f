"""Long encodings in numbered parts: a killed run resumes at the first missing part."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.artifacts import digest, replacing_file, write_json
from aeret.embeddings.store import VECTORS, EmbeddingSet, write_rows
from aeret.errors import UsageError
from aeret.progress import Progress, silent

Arrays = Mapping[str, NDArray[Any]]
_PLAN = "plan.json"
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

    Each part is written beside its name and renamed, so a part that is there is whole. Parts already in the folder are
    kept when they were planned for the same ids, part size and ``made_by``; otherwise all are made anew. The joined
    arrays are written through a memory map: no more than one part is ever in memory.

    Args:
        folder: where the set goes; parts live in ``folder/parts`` until the set is complete.
        ids: photo ids of all rows, int64 (n,).
        encode: from row numbers int64 (b,) to arrays with b rows: ``vectors`` float32 (b, d), and any others (b, m).
        part_size: rows in one part.
        columns: one value a photo, kept beside the ids.
        made_by: any JSON-able value that names the model; parts of another model are not reused.
        progress: shows photos done.
        title: of the progress bar.

    Raises:
        UsageError: ``encode`` returned something else than promised.
    """
    if part_size < 1:
        raise UsageError(f"part_size must be at least 1, got {part_size}.")
    ids = np.asarray(ids, np.int64)
    parts = folder / "parts"
    plan = {"rows": len(ids), "part_size": part_size, "ids": digest(ids.tolist()), "made_by": digest(made_by)}
    if _read_plan(parts) != plan:
        shutil.rmtree(parts, ignore_errors=True)
        write_json(parts / _PLAN, plan)
    bounds = [(start, min(start + part_size, len(ids))) for start in range(0, len(ids), part_size)] or [(0, 0)]
    paths = [parts / f"part-{number:05d}.npz" for number in range(len(bounds))]
    there = [path.is_file() for path in paths]
    done = sum(stop - start for (start, stop), whole in zip(bounds, there, strict=True) if whole)
    with progress(title, len(ids), unit="photo", done=done) as step:
        for (start, stop), path, whole in zip(bounds, paths, there, strict=True):
            if not whole:
                rows = np.arange(start, stop, dtype=np.int64)
                _write_part(path, _checked(encode(rows), rows))
                step(stop - start)
    _join(folder, bounds, paths)
    write_rows(folder, ids, columns or {})
    shutil.rmtree(parts)
    return EmbeddingSet.open(folder)


def _read_plan(parts: Path) -> Any:
    try:
        return json.loads((parts / _PLAN).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None


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


def _write_part(path: Path, arrays: Arrays) -> None:
    with replacing_file(path, path.with_suffix(".tmp")) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _join(folder: Path, bounds: list[tuple[int, int]], paths: list[Path]) -> None:
    whole: dict[str, np.memmap[Any, Any]] = {}
    for (start, stop), path in zip(bounds, paths, strict=True):
        with np.load(path) as part:
            for name in part.files:
                array = part[name]
                if name not in whole:
                    shape = (bounds[-1][1], array.shape[1])
                    whole[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", array.dtype, shape)
                if array.shape[1] != whole[name].shape[1]:
                    raise UsageError(f"{path}: {name!r} is {array.shape[1]} wide, the first part's is not.")
                whole[name][start:stop] = array
    for array in whole.values():
        array.flush()
