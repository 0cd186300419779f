"""Save and resume the state of a training in one atomic file.

The rename of ``checkpoint.npz`` is the only commit point. The best weights are written before the checkpoint that names
them, so both belong together at whatever moment a run is killed.
"""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeret.artifacts import flush, replacing_file, system_error
from aeret.errors import RunError
from aeret.training.selection import Selection

log = logging.getLogger(__name__)

FILE = "checkpoint.npz"


@dataclass
class Position:
    """Where a run stands after a whole number of epochs."""

    epoch: int = 0
    """Epochs done."""
    selection: Selection = field(default_factory=Selection)
    rows: list[dict[str, float]] = field(default_factory=list)
    """The history, one row an epoch."""
    finished: bool = False


def save(folder: Path, fingerprint: str, variables: Sequence[Any], position: Position) -> None:
    """Commit the state after an epoch: every variable, and the position.

    Args:
        folder: the run's folder.
        fingerprint: digest of what the run is; a checkpoint with another one is not resumed.
        variables: Keras variables of model and optimizer, in an order that is the same in every process.
        position: where the run stands.

    Raises:
        AeretError: it cannot be written (:func:`aeret.artifacts.system_error`).
    """
    meta = {
        "fingerprint": fingerprint,
        "epoch": position.epoch,
        "selection": position.selection.as_dict(),
        "rows": position.rows,
        "finished": position.finished,
    }
    _write(folder / FILE, [_array(variable) for variable in variables], meta)
    for stale in folder.glob("best-*.npz"):
        if stale != best_file(folder, position.selection.best_epoch):
            stale.unlink()


def load(folder: Path, fingerprint: str, variables: Sequence[Any]) -> Position:
    """Bring the variables to the last committed state and return its position; a fresh position where there is none.

    A checkpoint with another fingerprint, or of variables of other shapes, is left out with a warning in the log, and
    the run starts anew.
    """
    path = folder / FILE
    read = _read(path)
    if read is None:
        return Position()
    arrays, meta = read
    shapes = [tuple(variable.shape) for variable in variables]
    if meta["fingerprint"] != fingerprint or [array.shape for array in arrays] != shapes:
        log.warning(
            "%s belongs to a run with other settings, data sizes or variables; this run starts from its beginning.",
            path,
        )
        return Position()
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
    return Position(meta["epoch"], Selection.from_dict(meta["selection"]), meta["rows"], meta["finished"])


def save_best(folder: Path, epoch: int, variables: Sequence[Any]) -> None:
    """Write the weights of the best epoch so far (1-based) beside the checkpoint that will name it."""
    _write(best_file(folder, epoch), [_array(variable) for variable in variables], {"epoch": epoch})


def load_best(folder: Path, epoch: int, variables: Sequence[Any]) -> None:
    """Bring the model's variables to those of the best epoch.

    Raises:
        RunError: the file is gone or damaged.
    """
    path = best_file(folder, epoch)
    read = _read(path)
    if read is None:
        raise RunError(f"{path}: the best weights are gone; delete {folder} and run the training again.")
    for variable, array in zip(variables, read[0], strict=True):
        variable.assign(array)


def best_file(folder: Path, epoch: int) -> Path:
    """Return where the weights of the best epoch lie."""
    return folder / f"best-{epoch:05d}.npz"


def clear(folder: Path) -> None:
    """Delete the checkpoint and best files of a run whose model has been saved elsewhere."""
    for path in [folder / FILE, *folder.glob("best-*.npz"), *folder.glob(".*.npz.tmp")]:
        path.unlink(missing_ok=True)


def _array(variable: Any) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = variable.numpy()
    return array


def _write(path: Path, arrays: list[npt.NDArray[Any]], meta: dict[str, Any]) -> None:
    folder = path.parent
    temporary = folder / f".{path.name}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing_file(path, temporary) as file:
            named: dict[str, Any] = {f"v{i:05d}": array for i, array in enumerate(arrays)}
            np.savez(file, meta=np.array(json.dumps(meta)), **named)
        flush(folder)
    except OSError as error:
        raise system_error(f"{path}: the checkpoint cannot be written", error) from None


def _read(path: Path) -> tuple[list[npt.NDArray[Any]], dict[str, Any]] | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            names = sorted(name for name in file.files if name != "meta")
            return [file[name] for name in names], json.loads(str(file["meta"]))
    except (ValueError, KeyError, OSError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: is damaged ({error}); delete it and run the same command again.") from None
