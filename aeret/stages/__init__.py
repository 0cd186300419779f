"""One verb per file: what a stage reads, which settings and code decide its result, and the work itself.

Every stage module has

- ``NAME``, ``SUMMARY``: the verb and one line on it;
- ``INPUTS``: the stages whose artifacts it reads;
- ``SECTIONS``: the settings sections that decide its result (``seed`` counts as one);
- ``ROOMS``: the rooms of the package whose source decides its result;
- ``run(settings, inputs, out, progress)``: does the work into ``out`` (which holds what a killed run left) and returns
  the metrics for ``artifact.json``;
- optionally ``sources(settings)``: content digests of files outside any artifact;
- optionally ``demand_fit(settings, folder)``: refuses settings of later stages that its finished artifact cannot serve,
  before any stage runs;
- optionally ``KERAS = True``: it loads Keras, which the pipeline may do beforehand;
- optionally ``inputs(settings)`` and ``rooms(settings)``, where the settings decide what is read or run: ``INPUTS`` and
  ``ROOMS`` then say what the default settings need.

Stage modules import heavy packages inside ``run`` only, so that ``aeret --help`` answers at once.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from aeret.progress import Progress
from aeret.registry import lookup
from aeret.settings import Settings

STAGES: dict[str, str] = {
    "prepare": "aeret.stages.prepare",
    "audit": "aeret.stages.audit",
    "train-ae": "aeret.stages.train_ae",
    "encode-masks": "aeret.stages.encode_masks",
    "train-cnn": "aeret.stages.train_cnn",
    "embed": "aeret.stages.embed",
    "cluster-eval": "aeret.stages.cluster_eval",
    "feature-selection": "aeret.stages.feature_selection",
}
"""Stage name to module, in the order data flows."""

DEFAULT_STAGES = ("audit", "cluster-eval")
"""What a pipeline runs unless it says otherwise, after all that it reads."""


class Stage(Protocol):
    """What a stage module offers (see the package docstring)."""

    NAME: str
    SUMMARY: str
    INPUTS: tuple[str, ...]
    SECTIONS: tuple[str, ...]
    ROOMS: tuple[str, ...]

    def run(self, settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> Mapping[str, Any]:
        """Do the work into ``out`` and return the metrics."""
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


def rooms_of(stage: Stage, settings: Settings) -> tuple[str, ...]:
    """Return the rooms of the package whose source decides the result of a stage under some settings."""
    rooms = getattr(stage, "rooms", None)
    return tuple(rooms(settings)) if rooms else stage.ROOMS


def uses_keras(stage: Stage) -> bool:
    """Return whether a stage loads Keras."""
    return bool(getattr(stage, "KERAS", False))


def source_digests(stage: Stage, settings: Settings) -> dict[str, str]:
    """Return the content digests of the outside files a stage reads; empty for a stage that reads none."""
    sources = getattr(stage, "sources", None)
    return dict(sources(settings)) if sources else {}


def demand_fit(stage: Stage, settings: Settings, folder: Path) -> None:
    """Refuse settings that the finished artifact of a stage cannot serve, where the stage can tell.

    Raises:
        UsageError: says which setting.
        DataError: what the stage reads to tell is missing or damaged.
    """
    demand = getattr(stage, "demand_fit", None)
    if demand:
        demand(settings, folder)
