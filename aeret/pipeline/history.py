"""Record runs: one folder each, with ``run.json`` and links to artifacts."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aeret.artifacts import system_error, write_json
from aeret.errors import UsageError
from aeret.pipeline.graph import Task
from aeret.settings import Settings

RUN = "run.json"


@dataclass
class Run:
    """One run of a pipeline with one set of settings."""

    id: str
    pipeline: str
    group: str
    """The invocation of ``aeret run`` it belongs to; all cells of a matrix share it."""
    values: dict[str, Any]
    """The cell's place in the matrix (setting to value); empty without a matrix."""
    settings: Mapping[str, Any]
    started: str
    status: str = "running"
    """``running``, ``done``, ``failed`` or ``interrupted``; a killed run stays ``running``."""
    finished: str = ""
    stages: list[dict[str, Any]] = field(default_factory=list)
    """Per stage: name, key, how (``made`` or ``up to date``), seconds."""
    headline: Mapping[str, Any] = field(default_factory=dict)


def new_group(root: Path, pipeline: str) -> str:
    """Claim a new folder name from local time and pipeline name.

    Raises:
        AeretError: the folder cannot be made (:func:`aeret.artifacts.system_error`).
    """
    base = f"{datetime.now():%Y%m%d-%H%M%S}-{pipeline}"
    name, count = base, 1
    try:
        (root / "history").mkdir(parents=True, exist_ok=True)
        while True:
            # Making the folder, not looking for it: two runs may begin in the same second.
            with contextlib.suppress(FileExistsError):
                (root / "history" / name).mkdir()
                return name
            count += 1
            name = f"{base}-{count}"
    except OSError as error:
        raise system_error(f"no run can be recorded in {root}", error) from None


def start(root: Path, group: str, label: str, pipeline: str, values: dict[str, Any], settings: Any) -> Run:
    """Record that a run began."""
    run = Run(
        id=f"{group}.{label}" if label else group,
        pipeline=pipeline,
        group=group,
        values=values,
        settings=settings.model_dump(mode="json"),
        started=datetime.now().astimezone().isoformat(timespec="seconds"),
    )
    save(root, run)
    return run


def save(root: Path, run: Run) -> None:
    """Write ``run.json`` atomically."""
    write_json(folder_of(root, run) / RUN, asdict(run))


def note_stage(root: Path, run: Run, task: Task, how: str, seconds: float) -> None:
    """Record a finished stage and link its artifact into the run's folder."""
    run.stages.append({"stage": task.stage, "key": task.key, "how": how, "seconds": seconds})
    link = folder_of(root, run) / task.stage
    try:
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(task.folder, link.parent), target_is_directory=True)
    except OSError as error:
        raise system_error(f"run {run.id}: no link to its {task.stage}", error) from None
    save(root, run)


def finish(root: Path, run: Run, status: str) -> None:
    """Record how a run ended."""
    run.status = status
    run.finished = datetime.now().astimezone().isoformat(timespec="seconds")
    save(root, run)


def folder_of(root: Path, run: Run) -> Path:
    """Return the run's own folder."""
    return root / "history" / run.id


def artifact_of(root: Path, run: Run, stage: str) -> Path | None:
    """Return the artifact of a run's stage, or None."""
    for entry in run.stages:
        if entry["stage"] == stage:
            return root / "artifacts" / stage / str(entry["key"])
    return None


def artifacts_of(root: Path, run: Run, stages: Sequence[str]) -> dict[str, Path]:
    """Return the finished artifacts of a run by stage.

    Args:
        root: the folder of all runs.
        run: see :func:`find_run`.
        stages: whose artifacts are needed.

    Raises:
        UsageError: the run has not got as far.
    """
    found = {stage: artifact_of(root, run, stage) for stage in stages}
    missing = [stage for stage, folder in found.items() if folder is None or not (folder / "artifact.json").is_file()]
    if missing:
        raise UsageError(f"run {run.id} has no {' and no '.join(missing)} yet; finish it with `aeret run` first.")
    return {stage: folder for stage, folder in found.items() if folder is not None}


def find_run(root: Path, name: str) -> Run:
    """Return the one run that a name stands for.

    Raises:
        UsageError: no such run, or several; see :func:`find_runs`.
    """
    runs = find_runs(root, name)
    if len(runs) > 1:
        raise UsageError(f"--run {name} is {len(runs)} runs; name one of {', '.join(run.id for run in runs)}.")
    return runs[0]


def settings_of(run: Run) -> Settings:
    """Return the settings a run was recorded with.

    Raises:
        UsageError: this version of aeret has other settings.
    """
    try:
        return Settings.model_validate(run.settings)
    except ValidationError as error:
        where = ", ".join(".".join(map(str, item["loc"])) for item in error.errors()[:3])
        raise UsageError(
            f"run {run.id} was recorded with settings that this version of aeret does not have ({where}); run its "
            "pipeline again."
        ) from None


def list_runs(root: Path) -> list[Run]:
    """Return all readable runs, oldest first."""
    runs = []
    for path in sorted((root / "history").glob(f"*/{RUN}")):
        try:
            runs.append(Run(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            continue
    return sorted(runs, key=lambda run: (run.started, run.id))


def find_runs(root: Path, name: str) -> list[Run]:
    """Return the run with an id, or all runs of a group.

    Raises:
        UsageError: nothing, or more than one group, has that name.
    """
    runs = list_runs(root)
    if not runs:
        raise UsageError(f"{root}: holds no runs yet; `aeret run pipelines/demo.yaml` makes one.")
    if name == "latest":
        return [run for run in runs if run.group == runs[-1].group]
    exact = [run for run in runs if name in (run.id, run.group)]
    if exact:
        return [run for run in exact if run.id == name] or exact
    started = [run for run in runs if run.id.startswith(name)]
    groups = {run.group for run in started}
    if len(groups) != 1:
        what = "matches no run" if not groups else f"matches {len(groups)} runs"
        raise UsageError(f"run {name!r} {what}; `aeret runs list` shows the ids, a unique prefix is enough.")
    return started
