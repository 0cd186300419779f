"""Read pipeline files: settings, stages, matrix, presets and experiments."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml.comments import CommentedMap

from aeret.errors import SettingsError
from aeret.settings import Settings, override_keys, plain, read_yaml, settings_from, validated
from aeret.stages import DEFAULT_STAGES, STAGES

VARIANT = "variant"
"""The axis that ``pipeline.variants`` adds to the matrix."""
SOURCE = "source"
"""What ``cnn.weights`` says where the pipeline's source makes them."""


class Strict(BaseModel):
    """Base of the models of this block: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Values = Annotated[list[Any], Field(min_length=1)]
Shown = Literal["pairs", "cutoffs", "growth", "clusters", "effects", "trade-off", "time", "selection"]


class Preset(Strict):
    """One size of a pipeline: what it changes."""

    about: str = ""
    """What it is for and how long it takes."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Dotted setting to value; wins over the settings of the file."""
    matrix: dict[str, Values] = Field(default_factory=dict)
    """Takes the place of the same keys of ``pipeline.matrix``."""
    variants: tuple[str, ...] = ()
    """The variants that run; all when absent."""


class PipelineBlock(Strict):
    """The ``pipeline:`` block of a pipeline file."""

    name: Annotated[str, Field(pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")] = ""
    """Names the runs, and so their folders; the file's own name when absent."""
    title: str = ""
    """Heading in the report of the experiments."""
    about: str = ""
    """What the experiment asks, for its report."""
    extends: str = ""
    """Another pipeline file, beside this one, whose settings and presets hold where this one says nothing."""
    experiments: tuple[str, ...] = ()
    """Pipeline files, relative to this one, that run one after the other into one report."""
    source: str = ""
    """A pipeline file, relative to this one, whose first run is made before; ``cnn.weights: source`` is its network."""
    stages: Annotated[tuple[str, ...], Field(min_length=1)] = DEFAULT_STAGES
    matrix: dict[str, Values] = Field(default_factory=dict)
    """Setting to values (``cnn.arm: [joint, labels-only]``); every combination is one run."""
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Name to the settings it changes, dotted: one more axis of the matrix, called ``variant``."""
    presets: dict[str, Preset] = Field(default_factory=dict)
    """Name to a size of this pipeline, chosen with ``--preset``."""
    preset: str = ""
    """The preset that runs when none is asked for."""
    compare: str = ""
    """A matrix setting, or ``variant``, whose values are compared when all runs are done."""
    baseline: str = ""
    """The value of ``compare`` that the others are tested against; the first when absent."""
    shows: tuple[Shown, ...] = ()
    """What the report of the experiments shows of this one."""


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
    title: str = ""
    about: str = ""
    preset: str = ""
    preset_about: str = ""
    shows: tuple[Shown, ...] = ()
    source: Pipeline | None = None
    """What is made before; see :func:`with_source`."""
    experiments: tuple[Pipeline, ...] = ()
    """Read with the same preset and overrides; a pipeline that has some has no cells of its own."""


def settings_of_file(path: Path | None, overrides: Sequence[str] = ()) -> Settings:
    """Read the settings of a settings or pipeline file.

    Raises:
        SettingsError: the file or an override does not fit the schema; names file and line.
    """
    tree = read_yaml(path) if path else CommentedMap()
    if path and "pipeline" in tree:
        tree, _ = _opened(path)
    return settings_from(tree, overrides, source=str(path) if path else "settings")


def read_pipeline(path: Path, overrides: Sequence[str] = (), preset: str = "") -> Pipeline:
    """Read a pipeline file and resolve the settings of every cell of its matrix.

    A value given with ``--set`` wins over the matrix: the cells it makes equal become one. The order, from weak to
    strong: the extended file, the file, the preset, the variant, the matrix, ``--set``.

    Args:
        path: of the file.
        overrides: of ``--set``.
        preset: one of the file's; its own choice when empty.

    Raises:
        SettingsError: the file or an override does not fit the schema, or there is no such preset; names file and line.
    """
    tree, block = _opened(path)
    chosen = _preset(block, preset, path)
    chosen_name = preset or block.preset
    name = block.name or slug(path.stem)
    empty = Pipeline(name, (), (), "", "", block.title or name, block.about, chosen_name, chosen.about)
    if block.experiments:
        if tree or block.matrix or block.variants:
            raise SettingsError(
                f"{path}: a pipeline of experiments has no settings, matrix or variants of its own; put them into "
                f"{', '.join(block.experiments)}, or into a file that those extend."
            )
        parts = tuple(read_pipeline(path.parent / each, overrides, chosen_name) for each in block.experiments)
        if twice := repeated([part.name for part in parts]):
            raise SettingsError(
                f"{path}: pipeline.experiments: two are named {twice[0]!r}; name one of them otherwise."
            )
        return replace(empty, experiments=parts)
    taken = [override_keys(text) for text in overrides]
    matrix = block.matrix | chosen.matrix
    axes = {key: values for key, values in matrix.items() if not any(_within(key, each) for each in taken)}
    variants = {each: block.variants[each] for each in chosen.variants or block.variants}
    if variants:
        axes[VARIANT] = list(variants)
    _check_choice(block, chosen, axes, variants, path)
    cells: list[Cell] = []
    for combination in itertools.product(*axes.values()):
        values = dict(zip(axes, combination, strict=True))
        label = _unlike(".".join(slug(str(value)) for value in combination), {cell.label for cell in cells})
        settings = chosen.settings | variants.get(values.get(VARIANT, ""), {})
        settings |= {key: value for key, value in values.items() if key != VARIANT}
        cells.append(Cell(values, settings_from(tree, overrides, source=str(path), values=settings), label))
    if block.shows:
        _check_unlike(cells, path)
    return replace(
        empty,
        stages=block.stages,
        cells=tuple(cells),
        compare=block.compare if block.compare in axes else "",
        baseline=block.baseline,
        shows=block.shows,
        source=_source(path.parent / block.source, overrides, chosen_name) if block.source else None,
    )


def _source(path: Path, overrides: Sequence[str], preset: str) -> Pipeline:
    # The network must be the same; the collection is what the source is there to differ in.
    return read_pipeline(path, [text for text in overrides if override_keys(text)[0] != "data"], preset)


def _within(key: str, section: tuple[str, ...]) -> bool:
    return tuple(key.split("."))[: len(section)] == section


def with_source(pipeline: Pipeline, weights: Path) -> Pipeline:
    """Return a pipeline with ``cnn.weights: source`` resolved to the artifact that its source makes."""

    def resolved(cell: Cell) -> Cell:
        if cell.settings.cnn.weights != SOURCE:
            return cell
        cnn = cell.settings.cnn.model_copy(update={"weights": str(weights.resolve())})
        return replace(cell, settings=cell.settings.model_copy(update={"cnn": cnn}))

    return replace(pipeline, cells=tuple(resolved(cell) for cell in pipeline.cells))


def repeated(values: Sequence[Any]) -> list[Any]:
    """Return the values that stand in a list before."""
    return [value for number, value in enumerate(values) if value in values[:number]]


def slug(text: str) -> str:
    """Return a text as part of a file name, at most 40 characters."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:40] or "value"


def _opened(path: Path) -> tuple[CommentedMap, PipelineBlock]:
    """Return the settings of a pipeline file, over those of the file it extends, and its checked block."""
    tree = read_yaml(path)
    block = _block(tree, path)
    if block.extends:
        base_path = path.parent / block.extends
        base = read_yaml(base_path)
        base_block = _block(base, base_path)
        if base_block.extends or base_block.experiments:
            raise SettingsError(f"{base_path}: is extended by {path}, so it may not extend or gather other files.")
        # By itself first: what is wrong in it is said with its own lines.
        settings_from(base, source=str(base_path))
        _fill(tree, base)
        presets = base_block.presets | {
            name: _over(base_block.presets[name], own) if name in base_block.presets else own
            for name, own in block.presets.items()
        }
        block = block.model_copy(update={"presets": presets, "preset": block.preset or base_block.preset})
    _check(block, path)
    return tree, block


def _block(tree: CommentedMap, path: Path) -> PipelineBlock:
    part = tree.pop("pipeline", None)
    if part is not None and not isinstance(part, CommentedMap):
        raise SettingsError(f"{path}: pipeline: expected a mapping, got {type(part).__name__}.")
    block: PipelineBlock = validated(PipelineBlock, plain(part or {}), part or CommentedMap(), str(path))
    return block


def _fill(tree: CommentedMap, base: CommentedMap) -> None:
    for key, value in base.items():
        if isinstance(value, CommentedMap) and isinstance(tree.get(key), CommentedMap):
            _fill(tree[key], value)
        else:
            tree.setdefault(key, value)


def _over(base: Preset, own: Preset) -> Preset:
    return Preset(
        about=own.about or base.about,
        settings=base.settings | own.settings,
        matrix=base.matrix | own.matrix,
        variants=own.variants or base.variants,
    )


def _preset(block: PipelineBlock, name: str, path: Path) -> Preset:
    name = name or block.preset
    if not name:
        return Preset()
    if name not in block.presets and not block.experiments:
        known = ", ".join(block.presets) or "none"
        raise SettingsError(f"{path}: there is no preset {name!r}; presets of this file: {known}.")
    return block.presets.get(name, Preset())


def _check_choice(
    block: PipelineBlock,
    chosen: Preset,
    axes: Mapping[str, Sequence[Any]],
    variants: Mapping[str, Any],
    path: Path,
) -> None:
    """Refuse a preset without the baseline, and one whose settings every variant overrides."""
    compared = [str(value) for value in axes.get(block.compare, ())]
    if compared and block.baseline and block.baseline not in compared:
        raise SettingsError(
            f"{path}: the baseline {block.baseline!r} is none of the preset's values of {block.compare}: "
            f"{', '.join(compared)}."
        )
    lost = [key for key in chosen.settings if variants and all(key in each for each in variants.values())]
    if lost:
        raise SettingsError(f"{path}: every variant sets {lost[0]}, so what the preset says of it is never used.")


def _check_unlike(cells: Sequence[Cell], path: Path) -> None:
    """Refuse two runs with the same settings: their difference of zero would stand in a table of differences."""
    seen: dict[str, str] = {}
    for cell in cells:
        text = cell.settings.model_dump_json()
        if text in seen:
            raise SettingsError(f"{path}: the runs {seen[text]!r} and {cell.label!r} have the same settings.")
        seen[text] = cell.label


def _unlike(label: str, taken: set[str]) -> str:
    name, count = label, 1
    while name in taken:
        count += 1
        name = f"{label}-{count}"
    return name


def _check(block: PipelineBlock, path: Path) -> None:
    unknown = [name for name in block.stages if name not in STAGES]
    if unknown:
        raise SettingsError(f"{path}: pipeline.stages: {unknown[0]!r} is no stage; known: {', '.join(STAGES)}.")
    for place, matrix in (
        ("matrix", block.matrix),
        *((f"presets.{n}.matrix", p.matrix) for n, p in block.presets.items()),
    ):
        for key, values in matrix.items():
            if twice := repeated(values):
                raise SettingsError(f"{path}: pipeline.{place}.{key}: {twice[0]!r} is given twice; give it once.")
    for name, preset in block.presets.items():
        lost = [each for each in preset.variants if each not in block.variants]
        if lost:
            known = ", ".join(block.variants) or "none"
            raise SettingsError(f"{path}: pipeline.presets.{name}.variants: {lost[0]!r} is no variant; known: {known}.")
    axes = block.matrix | ({VARIANT: list(block.variants)} if block.variants else {})
    if block.compare and block.compare not in axes:
        raise SettingsError(f"{path}: pipeline.compare: {block.compare!r} is not in the matrix {list(axes)}.")
    if block.baseline:
        if not block.compare:
            raise SettingsError(f"{path}: pipeline.baseline: needs pipeline.compare, the setting it is a value of.")
        known_values = [str(value) for value in axes[block.compare]]
        if block.baseline not in known_values:
            raise SettingsError(
                f"{path}: pipeline.baseline: {block.baseline!r} is none of the values of {block.compare}: "
                f"{', '.join(known_values)}."
            )
