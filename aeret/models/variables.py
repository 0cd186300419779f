"""Save what rebuilds a trained network: its record and its variables."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from aeret.artifacts import write_json
from aeret.errors import DataError

WEIGHTS = "weights.npz"
T = TypeVar("T")


def save_network(folder: Path, record_name: str, record: Mapping[str, Any], model: Any) -> None:
    """Write the record as JSON and the model's variables beside it; the folder is made when missing."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {f"{number:04d}": variable.numpy() for number, variable in enumerate(model.weights)}
    np.savez(folder / WEIGHTS, **arrays)
    write_json(folder / record_name, record)


def load_network(
    folder: Path, record_name: str, parse: Callable[[dict[str, Any]], T], what: str, stages: str
) -> tuple[T, list[Any]]:
    """Return the parsed record and the arrays that :func:`save_network` wrote.

    Args:
        folder: where both files lie.
        record_name: the record's file.
        parse: makes settings and the like of the record; may raise ``ValueError``, ``KeyError`` or ``TypeError``.
        what: name of the network in messages.
        stages: commands that write the files, for messages.

    Raises:
        DataError: a file is missing or damaged, or the record cannot be parsed.
    """
    try:
        parsed = parse(json.loads((folder / record_name).read_text(encoding="utf-8")))
        # Through a file of our own: np.load leaves its own open where the archive is damaged.
        with (folder / WEIGHTS).open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return parsed, [file[name] for name in sorted(file.files)]
    except FileNotFoundError as error:
        raise DataError(f"{error.filename}: is missing; {stages} it.") from None
    except (ValueError, KeyError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{folder}: holds no {what} that this aeret can read ({error}).") from None


def assign_variables(model: Any, arrays: list[Any], folder: Path) -> None:
    """Bring a rebuilt model to the stored values.

    Raises:
        DataError: the arrays are not those of the model.
    """
    shapes = [tuple(variable.shape) for variable in model.weights]
    if [array.shape for array in arrays] != shapes:
        raise DataError(
            f"{folder / WEIGHTS}: its {len(arrays)} arrays do not fit the network that the record describes, which has "
            f"{len(shapes)}; it was written by another version of aeret, train again."
        )
    for variable, array in zip(model.weights, arrays, strict=True):
        variable.assign(array)
