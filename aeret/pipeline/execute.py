"""Run one task, in this process or in a fresh one."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from aeret.artifacts import (
    Record,
    locked,
    package_versions,
    read_record,
    replacing,
    system_error,
    write_record,
    write_text,
)
from aeret.errors import RegressionError, ResourceError, RunError, UsageError
from aeret.pipeline.graph import Task
from aeret.pipeline.stage_process import start
from aeret.progress import Progress
from aeret.settings import Settings
from aeret.stages import load_stage


def execute(task: Task, settings: Settings, progress: Progress, force: bool = False) -> Record:
    """Run one task in this process unless its artifact exists.

    Raises:
        RunError: an input's artifact is missing, or another process is writing this one.
        AeretError: a file could not be read or written (:func:`aeret.artifacts.system_error`).
    """
    if task.done and not force:
        return read_record(task.folder)
    missing = [name for name, folder in task.input_folders.items() if not (folder / "artifact.json").is_file()]
    if missing:
        raise RunError(
            f"stage {task.stage}: its input {' and '.join(missing)} has not been made with these settings. "
            f"Run `aeret stage {missing[0]}` with the same --config and --set first, or `aeret run` for all stages."
        )
    try:
        with locked(task.folder):
            # Another process may have finished it between our look and our lock.
            if task.done and not force:
                return read_record(task.folder)
            return _make(task, settings, progress)
    except OSError as error:
        raise system_error(f"stage {task.stage} could not finish", error) from error


def _make(task: Task, settings: Settings, progress: Progress) -> Record:
    stage = load_stage(task.stage)
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    clock = time.perf_counter()
    with replacing(task.folder) as partial:
        attempts = _count_attempt(partial)
        values = settings.model_dump(mode="json")
        write_text(partial / "settings.yaml", _as_yaml(values))
        metrics = stage.run(settings, task.input_folders, partial, progress)
        record = Record(
            stage=task.stage,
            key=task.key,
            settings=values,
            sections=task.sections,
            inputs=task.input_keys,
            sources=task.sources,
            code=task.code,
            seed=settings.seed,
            started=started,
            finished=datetime.now().astimezone().isoformat(timespec="seconds"),
            seconds=round(time.perf_counter() - clock, 3),
            attempts=attempts,
            versions=package_versions(),
            metrics=metrics,
        )
        (partial / "attempts").unlink()
        write_record(partial, record)
    return record


def execute_in_process(task: Task, settings: Settings, root: Path) -> Record:
    """Run one task in a fresh process, whose end frees TensorFlow's memory and threads.

    Args:
        task: what to run.
        settings: all settings of the run.
        root: the folder of all runs.

    Raises:
        AeretError: no process can be started, or the stage failed; the stage has printed its own message, and this
            one says what to do.
        KeyboardInterrupt: this process or the stage's was interrupted.
    """
    # The settings go through a pipe: a file of them would be left behind if this process is killed.
    options = ["--config", "/dev/stdin", "--runs", str(root), "--quiet", "--expect", task.key]
    try:
        process = start(["stage", task.stage, *options])
    except OSError as error:
        raise system_error(f"stage {task.stage}: no process can be started for it", error) from None
    try:
        # Waits for the stage too; one that ended before it read them says why by its exit code.
        process.communicate(_as_yaml(settings.model_dump(mode="json")).encode())
        code = process.returncode
    except BaseException as error:
        # Ctrl-C reached the stage as well, and it is leaving its checkpoint whole; SIGTERM did not.
        _end(process, patience=0.0 if signal.SIGTERM in error.args else _PATIENCE)
        raise
    _raise_for(task.stage, code)
    return read_record(task.folder)


_PATIENCE = 20.0
"""Seconds that a stage has to end by itself, and again after SIGTERM, before it is killed."""
_INTERRUPTED = 130


def _end(process: subprocess.Popen[bytes], patience: float) -> None:
    """Wait, then ask, then kill; a second Ctrl-C kills at once."""
    try:
        for act, seconds in ((None, patience), (process.terminate, _PATIENCE), (process.kill, _PATIENCE)):
            if act:
                act()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)
                return
    except KeyboardInterrupt:
        process.kill()


def _raise_for(stage: str, code: int) -> None:
    if code == 0:
        return
    if code == _INTERRUPTED:
        raise KeyboardInterrupt
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        cause = ""
        if code == -signal.SIGKILL:
            cause = (
                " Most likely the memory ran out: close other programs, or lower data.workers or the batch size"
                " (autoencoder.training.batch_size, cnn.training.batch_size, embed.batch_size)."
            )
        raise RunError(f"stage {stage} was killed by signal {-code} ({name}).{cause} The same command resumes it.")
    if code == UsageError.exit_code:
        raise UsageError(f"stage {stage} cannot run with this input; fix the problem above and start again.")
    if code == ResourceError.exit_code:
        raise ResourceError(f"stage {stage} stopped for the reason above; once it is fixed, the same command resumes.")
    error = RunError(f"stage {stage} failed with exit code {code}; the same command resumes it.")
    error.exit_code = code if code == RegressionError.exit_code else RunError.exit_code
    raise error


def _count_attempt(partial: Path) -> int:
    path = partial / "attempts"
    attempts = 1
    with contextlib.suppress(FileNotFoundError, ValueError):  # a killed process may have left it empty
        attempts += int(path.read_text(encoding="utf-8"))
    write_text(path, str(attempts))
    return attempts


def _as_yaml(values: Any) -> str:
    """Return JSON, which YAML 1.2 includes, unescaped because YAML misreads surrogate pairs."""
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
