"""Plan the stages of a run: the key, folder and inputs of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aeret.artifacts import RECORD, digest
from aeret.pipeline.backend import keras_backend
from aeret.pipeline.code import code_digest, imports
from aeret.settings import IDLE, PACE_ONLY, Settings
from aeret.stages import STAGES, demand_fit, inputs_of, load_stage, setting, source_digests

Sources = dict[tuple[str, ...], dict[str, str]]
"""Stage and the settings that name its files, to the digests of those files, as one command has read them."""


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

    @property
    def done(self) -> bool:
        """Whether the artifact is complete."""
        return (self.folder / RECORD).is_file()


def plan(settings: Settings, targets: Iterable[str], root: Path, known: Sources | None = None) -> list[Task]:
    """Return the tasks that ``targets`` need, each after its inputs.

    Args:
        settings: resolved settings of the run.
        targets: stage names.
        root: the folder of all runs.
        known: digests from earlier plans of the same command, which this plan extends.

    Raises:
        UnknownNameError: a target is not a stage.
        DataError: a file outside any artifact cannot be read.
        UsageError: an existing artifact does not fit the settings of a later stage.
    """
    tasks: dict[str, Task] = {}
    known = {} if known is None else known

    def visit(name: str) -> Task:
        if name not in tasks:
            inputs = [visit(each) for each in inputs_of(load_stage(name), settings)]
            tasks[name] = _task(name, settings, inputs, root, known)
        return tasks[name]

    for target in targets:
        visit(target)
    order = list(STAGES)
    found = sorted(tasks.values(), key=lambda task: order.index(task.stage))
    demand_inputs_fit(found, settings)
    return found


def demand_inputs_fit(tasks: Iterable[Task], settings: Settings) -> None:
    """Refuse settings of stages to come that the artifacts made so far cannot serve.

    Raises:
        UsageError: names the setting.
    """
    for task in tasks:
        if not task.done:
            made = {name: folder for name, folder in task.input_folders.items() if (folder / RECORD).is_file()}
            demand_fit(load_stage(task.stage), settings, made)


def _task(name: str, settings: Settings, inputs: list[Task], root: Path, known: Sources) -> Task:
    stage = load_stage(name)
    module: str = stage.__name__  # type: ignore[attr-defined]
    values = settings.model_dump(mode="json")
    asked = (name, *(str(setting(settings, each)) for each in getattr(stage, "FILE_SETTINGS", ())))
    if asked not in known:
        known[asked] = source_digests(stage, settings)
    parts = {
        "stage": name,
        "settings": {section: deciding(section, values[section]) for section in stage.SECTIONS},
        "inputs": {task.stage: task.key for task in inputs},
        "sources": known[asked],
        "code": code_digest(module),
        # Backends round differently; a number must not silently come from another one.
        "backend": keras_backend() if imports(module, "keras") else "",
    }
    key = digest(parts)
    return Task(
        stage=name,
        key=key,
        folder=root / "artifacts" / name / key,
        sections=stage.SECTIONS,
        input_folders={task.stage: task.folder for task in inputs},
        input_keys={task.stage: task.key for task in inputs},
        sources=known[asked],
        code=code_digest(module),
    )


def deciding(section: str, value: Any) -> Any:
    """Return a section of the settings without those that cannot change a result."""
    without = set(PACE_ONLY.get(section, ()))
    if section in IDLE:
        switch, off, idle = IDLE[section]
        without |= {*idle} if value[switch] == off else set()
    return {key: each for key, each in value.items() if key not in without} if without else value
