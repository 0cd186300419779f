"""Run one task in this process, or a list of tasks each in a process of its own."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

from aeret.artifacts import Record, package_versions, read_record, write_json, write_record, write_text, writing
from aeret.errors import AeretError, RunError
from aeret.pipeline.graph import Task
from aeret.progress import Progress
from aeret.settings import Settings
from aeret.stages import load_stage

PARENT = "AERET_PARENT"
"""Environment variable that tells a stage's process which process started it."""


def execute(task: Task, settings: Settings, progress: Progress, force: bool = False) -> Record:
    """Run one task in this process, unless its artifact is there already.

    Raises:
        RunError: an input's artifact is missing, or another process is writing this one.
    """
    if task.done and not force:
        return read_record(task.folder)
    missing = [name for name, folder in task.input_folders.items() if not (folder / "artifact.json").is_file()]
    if missing:
        raise RunError(
            f"stage {task.stage}: its input {' and '.join(missing)} has not been made with these settings. "
            f"Run `aeret stage {missing[0]}` with the same --config and --set first, or `aeret run` for all stages."
        )
    stage = load_stage(task.stage)
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    clock = time.perf_counter()
    with writing(task.folder) as partial:
        attempts = _count_attempt(partial)
        values = settings.model_dump(mode="json")
        write_text(partial / "settings.yaml", json.dumps(values, indent=2) + "\n")  # JSON is YAML 1.2
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
    """Run one task in a fresh process: TensorFlow's memory and threads end with it.

    Raises:
        AeretError: the stage failed; its own message was printed already, this one names the exit code.
    """
    settings_file = root / "artifacts" / task.stage / f"{task.key}.settings.json"
    write_json(settings_file, settings.model_dump(mode="json"))
    command = [sys.executable, "-m", "aeret", "stage", task.stage]
    command += ["--config", str(settings_file), "--runs", str(root), "--quiet", "--expect", task.key]
    environment = os.environ | {PARENT: str(os.getpid())}
    process = subprocess.Popen(command, env=environment)
    try:
        code = process.wait()
    except BaseException:
        # Ctrl-C reaches the child as well; give it a moment to leave its checkpoint whole.
        process.terminate()
        process.wait(timeout=30)
        raise
    finally:
        settings_file.unlink(missing_ok=True)
    if code:
        error = AeretError(f"stage {task.stage} failed with exit code {code}; the same command resumes it.")
        error.exit_code = code if code in (1, 2, 3) else 1
        raise error
    return read_record(task.folder)


def die_with_parent() -> None:
    """Ask Linux to end this process when the one that started it dies; elsewhere do nothing.

    Without it a killed ``aeret run`` would leave its stage writing, and the resumed run would find the artifact locked.
    """
    parent = os.environ.get(PARENT)
    if parent and sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != int(parent):
            os.kill(os.getpid(), signal.SIGKILL)


def _count_attempt(partial: Path) -> int:
    path = partial / "attempts"
    attempts = int(path.read_text()) + 1 if path.is_file() else 1
    path.write_text(str(attempts))
    return attempts
