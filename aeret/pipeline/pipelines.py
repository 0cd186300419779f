"""Pipeline files: settings, the stages to run, and a matrix of settings to run them with."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml.comments import CommentedMap

from aeret.errors import SettingsError
from aeret.settings import Settings, plain, read_yaml, settings_from, validated
from aeret.stages import STAGES


class PipelineBlock(BaseModel):
    """The ``pipeline:`` block of a pipeline file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")] = ""
    """Names the runs, and so their folders; the file's own name when absent."""
    stages: Annotated[tuple[str, ...], Field(min_length=1)] = tuple(STAGES)
    matrix: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    """Setting to values (``cnn.arm: [joint, labels-only]``); every combination is one run."""
    compare: str = ""
    """A matrix setting whose values are compared when all runs are done."""
    baseline: str = ""
    """The value of ``compare`` that the others are tested against; the first when absent."""


@dataclass(frozen=True)
class Cell:
    """One combination of the matrix."""

    values: dict[str, Any]
    settings: Settings
    label: str
    """Short name, fit for a file name, unlike that of any other cell: the values joined by dots; empty without a
    matrix."""


@dataclass(frozen=True)
class Pipeline:
    """A pipeline file, read and validated."""

    name: str
    stages: tuple[str, ...]
    cells: tuple[Cell, ...]
    compare: str
    baseline: str


def settings_of_file(path: Path | None, overrides: Sequence[str] = ()) -> Settings:
    """Read the settings of a settings file or of a pipeline file, whose ``pipeline:`` block is left aside.

    Raises:
        SettingsError: the file or an override does not fit the schema; names file and line.
    """
    tree = read_yaml(path) if path else CommentedMap()
    tree.pop("pipeline", None)
    return settings_from(tree, overrides, source=str(path) if path else "settings")


def read_pipeline(path: Path, overrides: Sequence[str] = ()) -> Pipeline:
    """Read a pipeline file and resolve the settings of every cell of its matrix.

    A value given with ``--set`` wins over the matrix: the cells it makes equal become one.

    Raises:
        SettingsError: the file or an override does not fit the schema; names file and line.
    """
    tree = read_yaml(path)
    block_tree = tree.pop("pipeline", None)
    if block_tree is not None and not isinstance(block_tree, CommentedMap):
        raise SettingsError(f"{path}: pipeline: expected a mapping, got {type(block_tree).__name__}.")
    block: PipelineBlock = validated(PipelineBlock, plain(block_tree or {}), block_tree or CommentedMap(), str(path))
    unknown = [name for name in block.stages if name not in STAGES]
    if unknown:
        raise SettingsError(f"{path}: pipeline.stages: {unknown[0]!r} is no stage; known: {', '.join(STAGES)}.")
    _check_matrix(block, path)
    taken = {text.partition("=")[0] for text in overrides}
    matrix = {key: values for key, values in block.matrix.items() if key not in taken}
    cells: list[Cell] = []
    for combination in itertools.product(*matrix.values()):
        values = dict(zip(matrix, combination, strict=True))
        label = _unlike(".".join(slug(str(value)) for value in combination), {cell.label for cell in cells})
        cells.append(Cell(values, settings_from(tree, overrides, source=str(path), values=values), label))
    return Pipeline(
        name=block.name or slug(path.stem),
        stages=block.stages,
        cells=tuple(cells),
        compare=block.compare if block.compare in matrix else "",
        baseline=block.baseline,
    )


def slug(text: str) -> str:
    """Return a text as part of a file name: letters, digits, ``.``, ``_`` and ``-``, at most 40 of them."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:40] or "value"


def _unlike(label: str, taken: set[str]) -> str:
    name, count = label, 1
    while name in taken:
        count += 1
        name = f"{label}-{count}"
    return name


def _check_matrix(block: PipelineBlock, path: Path) -> None:
    for key, values in block.matrix.items():
        twice = [value for number, value in enumerate(values) if value in values[:number]]
        if twice:
            raise SettingsError(f"{path}: pipeline.matrix.{key}: {twice[0]!r} is given twice; give every value once.")
    if block.compare and block.compare not in block.matrix:
        raise SettingsError(f"{path}: pipeline.compare: {block.compare!r} is not in the matrix {list(block.matrix)}.")
    if block.baseline:
        if not block.compare:
            raise SettingsError(f"{path}: pipeline.baseline: needs pipeline.compare, the setting it is a value of.")
        known = [str(value) for value in block.matrix[block.compare]]
        if block.baseline not in known:
            raise SettingsError(
                f"{path}: pipeline.baseline: {block.baseline!r} is none of the values of {block.compare}: "
                f"{', '.join(known)}."
            )
