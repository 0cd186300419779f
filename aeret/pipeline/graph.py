"""From settings to tasks: the key, folder and inputs of every stage that a target needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import aeret
from aeret.artifacts import RECORD, digest, file_digest
from aeret.errors import RunError
from aeret.pipeline.backend import keras_backend
from aeret.settings import IDLE, PACE_ONLY, Settings
from aeret.stages import STAGES, demand_fit, inputs_of, load_stage, rooms_of, source_digests, uses_keras

_BACKEND_ROOMS = {"models", "training"}

Sources = dict[tuple[str, ...], dict[str, str]]
"""Stage and :func:`names_of_files` to the digests of the files: what one command has read of the world outside."""


@dataclass(frozen=True)
class Task:
    """One stage of one run, with everything that decides its content."""

    stage: str
    key: str
    folder: Path
    sections: tuple[str, ...]
    input_folders: Mapping[str, Path]
    input_keys: Mapping[str, str]
    sources: Mapping[str, str]
    code: str
    keras: bool = False
    """Whether the stage loads Keras, which takes seconds."""

    @property
    def done(self) -> bool:
        """Whether the artifact is there, complete."""
        return (self.folder / RECORD).is_file()


def plan(settings: Settings, targets: Iterable[str], root: Path, known: Sources | None = None) -> list[Task]:
    """Return the tasks that ``targets`` need, inputs before what reads them.

    Args:
        settings: resolved settings of the run.
        targets: stage names.
        root: the folder of all runs.
        known: of the plans before this one, so that the runs of one command read a collection once; grows.

    Raises:
        UnknownNameError: a target is no stage.
        DataError: a file outside any artifact cannot be read.
        UsageError: an artifact that is there cannot serve the settings of a later stage.
    """
    tasks: dict[str, Task] = {}
    known = {} if known is None else known

    def visit(name: str) -> Task:
        if name in tasks:
            return tasks[name]
        stage = load_stage(name)
        inputs = [visit(each) for each in inputs_of(stage, settings)]
        values = settings.model_dump(mode="json")
        rooms = rooms_of(stage, settings)
        code = _code_digest((*rooms, f"stages/{stage.__name__.rpartition('.')[2]}.py"))  # type: ignore[attr-defined]
        asked = (name, *names_of_files(settings))
        if asked not in known:
            known[asked] = source_digests(stage, settings)
        sources = known[asked]
        parts = {
            "stage": name,
            "settings": {section: deciding(section, values[section]) for section in stage.SECTIONS},
            "inputs": {task.stage: task.key for task in inputs},
            "sources": sources,
            "code": code,
            # Backends round differently; a number must not silently come from another one.
            "backend": keras_backend() if _BACKEND_ROOMS & {*rooms} else "",
        }
        key = digest(parts)
        tasks[name] = Task(
            stage=name,
            key=key,
            folder=root / "artifacts" / name / key,
            sections=stage.SECTIONS,
            input_folders={task.stage: task.folder for task in inputs},
            input_keys={task.stage: task.key for task in inputs},
            sources=sources,
            code=code,
            keras=uses_keras(stage),
        )
        return tasks[name]

    for target in targets:
        visit(target)
    # All that a finished artifact is asked to serve so far are the clusters of this stage; without it nobody minds.
    if "cluster-eval" in tasks and not tasks["cluster-eval"].done:
        for task in tasks.values():
            if task.done:
                demand_fit(load_stage(task.stage), settings, task.folder)
    order = list(STAGES)
    return sorted(tasks.values(), key=lambda task: order.index(task.stage))


def names_of_files(settings: Settings) -> tuple[str, ...]:
    """Return the settings that name files outside any artifact: all that a stage's ``sources`` may depend on."""
    return settings.data.manifest, settings.cnn.weights, settings.embed.photos


def deciding(section: str, value: Any) -> Any:
    """Return a section of the settings without what cannot change a result."""
    without = set(PACE_ONLY.get(section, ()))
    if section in IDLE:
        switch, off, idle = IDLE[section]
        without |= {*idle} if value[switch] == off else set()
    return {key: each for key, each in value.items() if key not in without} if without else value


@lru_cache
def _code_digest(rooms: tuple[str, ...]) -> str:
    package = Path(aeret.__file__).parent
    files: list[Path] = []
    for room in rooms:
        path = package / room
        found = [path] if path.is_file() else [*path.rglob("*.py")]
        if not found:
            raise RunError(f"a stage names the room {room!r}, of which there is no source in {package}.")
        files.extend(found)
    return digest({str(path.relative_to(package)): file_digest(path) for path in sorted(files)})
