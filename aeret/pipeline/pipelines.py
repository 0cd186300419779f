"""Pipeline files: settings, the stages to run, and a matrix of settings to run them with."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml.comments import CommentedMap

from aeret.errors import SettingsError
from aeret.settings import Settings, read_yaml, settings_from, validated
from aeret.stages import STAGES


class PipelineBlock(BaseModel):
    """The ``pipeline:`` block of a pipeline file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: str = ""
    """Names the runs; the file's own name when absent."""
    stages: tuple[str, ...] = tuple(STAGES)
    matrix: dict[str, list[Any]] = Field(default_factory=dict)
    """Setting to values (``cnn.arm: [joint, labels-only]``); every combination is one run."""
    compare: str = ""
    """A matrix setting whose values are compared when all runs are done."""
    baseline: str = ""
    """The value of ``compare`` that the others are tested against."""


@dataclass(frozen=True)
class Cell:
    """One combination of the matrix."""

    values: dict[str, Any]
    settings: Settings

    @property
    def label(self) -> str:
        """Short name: the values joined by dots; empty without a matrix."""
        return ".".join(str(value) for value in self.values.values())


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
    block: PipelineBlock = validated(PipelineBlock, dict(block_tree or {}), block_tree or CommentedMap(), str(path))
    unknown = [name for name in block.stages if name not in STAGES]
    if unknown:
        raise SettingsError(f"{path}: pipeline.stages: {unknown[0]!r} is no stage; known: {', '.join(STAGES)}.")
    if block.compare and block.compare not in block.matrix:
        raise SettingsError(f"{path}: pipeline.compare: {block.compare!r} is not in the matrix {list(block.matrix)}.")
    taken = {text.partition("=")[0] for text in overrides}
    matrix = {key: values for key, values in block.matrix.items() if key not in taken}
    cells = []
    for combination in itertools.product(*matrix.values()):
        values = dict(zip(matrix, combination, strict=True))
        sets = [*(f"{key}={value}" for key, value in values.items()), *overrides]
        cells.append(Cell(values, settings_from(tree, sets, source=str(path))))
    return Pipeline(
        name=block.name or path.stem,
        stages=block.stages,
        cells=tuple(cells),
        compare=block.compare if block.compare in matrix else "",
        baseline=block.baseline,
    )
