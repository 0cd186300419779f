"""Run one verb of the pipeline: one stage a file.

Every stage module has

- ``NAME``, ``SUMMARY``: the verb and one line about it;
- ``INPUTS``: the stages whose artifacts it reads;
- ``SECTIONS``: the settings sections that decide its result (``seed`` counts as one);
- ``run(settings, inputs, out, progress)``: works in ``out``, which holds what a killed run left, and returns the
  metrics for ``artifact.json``;
- optionally ``inputs(settings)``, if the settings decide which of ``INPUTS`` it reads;
- optionally ``sources(settings)``: digests of files outside any artifact, with ``FILE_SETTINGS``, the dotted settings
  that name those files;
- optionally ``demand_fit(settings, inputs)``: refuses settings that the inputs made so far cannot serve, before any
  stage runs and again after each one;
- optionally ``HEADLINE = True``: its metrics are shown as the run's result.

Stage modules import heavy packages inside functions only, so that ``aeret --help`` answers at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from aeret.names import STAGES
from aeret.progress import Progress
from aeret.registry import lookup
from aeret.settings import Settings

DEFAULT_STAGES = ("audit", "cluster-eval")
"""Stages that a pipeline runs by default, after all that they read."""

__all__ = ["DEFAULT_STAGES", "STAGES", "Stage", "load_stage"]


class Stage(Protocol):
    """Attributes that every stage module has (see the package docstring)."""

    NAME: str
    SUMMARY: str
    INPUTS: tuple[str, ...]
    SECTIONS: tuple[str, ...]

    def run(self, settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> Mapping[str, Any]:
        """Do the work in ``out`` and return the metrics."""
        ...


def load_stage(name: str) -> Stage:
    """Import the module of one stage.

    Raises:
        UnknownNameError: there is no such stage.
    """
    return cast(Stage, importlib.import_module(lookup(STAGES, name, "stage")))


def inputs_of(stage: Stage, settings: Settings) -> tuple[str, ...]:
    """Return the stages whose artifacts a stage reads under some settings."""
    inputs = getattr(stage, "inputs", None)
    return tuple(inputs(settings)) if inputs else stage.INPUTS


def source_digests(stage: Stage, settings: Settings) -> dict[str, str]:
    """Return the digests of the files outside any artifact that a stage reads."""
    sources = getattr(stage, "sources", None)
    return dict(sources(settings)) if sources else {}


def demand_fit(stage: Stage, settings: Settings, inputs: Mapping[str, Path]) -> None:
    """Refuse settings that a stage's inputs cannot serve, if the stage can tell.

    Raises:
        UsageError: names the setting.
        DataError: an input is damaged.
    """
    demand = getattr(stage, "demand_fit", None)
    if demand:
        demand(settings, inputs)


def setting(settings: Settings, dotted: str) -> Any:
    """Return the value of a dotted setting such as ``data.manifest``."""
    value: Any = settings
    for name in dotted.split("."):
        value = getattr(value, name)
    return value
