"""Run every stage that is not up to date, for every cell of a pipeline."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from aeret.artifacts import read_record
from aeret.errors import AeretError, ResourceError, RunError
from aeret.pipeline import history
from aeret.pipeline.execute import execute_in_process
from aeret.pipeline.graph import Sources, Task, demand_inputs_fit, plan
from aeret.pipeline.pipelines import Cell, Pipeline, repeated, with_source
from aeret.stages import load_stage


def run_pipeline(pipeline: Pipeline, root: Path, log: Callable[[str], None]) -> list[history.Run]:
    """Run a pipeline, skipping what is up to date and resuming what was killed.

    In a pipeline of experiments a failed run is logged and does not end the others, unless the machine itself fails
    (:class:`~aeret.errors.ResourceError`, for example a full disk).

    Args:
        pipeline: as :func:`aeret.pipeline.pipelines.read_pipeline` returns it.
        root: the folder of all runs.
        log: called with lines for the user.

    Returns:
        One record per cell of the matrix, in the order of the experiments; ``Run.pipeline`` names the experiment.

    Raises:
        DataError: a file of the collection is missing; nothing ran.
        AeretError: a stage failed; the run's record says ``failed``.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the record says ``interrupted`` and the same command resumes.
    """
    # Plan every cell first, so that a mistake in the last one shows before the first has run for hours.
    known: Sources = {}
    parts = parts_of(pipeline, root, known)
    plans = {part.name: [plan(cell.settings, part.stages, root, known) for cell in part.cells] for part in parts}
    group = history.new_group(root, pipeline.name)
    total = sum(len(part.cells) for part in parts)
    runs: list[history.Run] = []
    cells = [(part, cell, tasks) for part in parts for cell, tasks in zip(part.cells, plans[part.name], strict=True)]
    for part, cell, tasks in cells:
        label = ".".join(each for each in (part.name if len(parts) > 1 else "", cell.label) if each)
        where = f" {len(runs) + 1}/{total} ({label})" if label else ""
        log(f"Run {group}{where}")
        run = history.start(root, group, label, part.name, cell.values, cell.settings)
        try:
            _run_cell(root, run, cell, tasks, log)
        except ResourceError:
            raise
        except AeretError as error:
            if not pipeline.experiments:
                raise
            log(f"  failed: {error}")
        runs.append(run)
    return runs


def parts_of(pipeline: Pipeline, root: Path, known: Sources | None = None) -> list[Pipeline]:
    """Return the pipelines to run: each experiment after its source."""
    parts: list[Pipeline] = []
    for part in pipeline.experiments or (pipeline,):
        if part.source is not None:
            parts.append(part.source)
            made = plan(part.source.cells[0].settings, ("train-cnn",), root, known)
            part = with_source(part, made[-1].folder)
        parts.append(part)
    if twice := repeated([part.name for part in parts]):
        raise RunError(f"two of the pipelines to run are named {twice[0]!r}; give one of them another pipeline.name.")
    return parts


def _run_cell(root: Path, run: history.Run, cell: Cell, tasks: Sequence[Task], log: Callable[[str], None]) -> None:
    try:
        for step, task in enumerate(tasks, 1):
            # An earlier cell may have made it since the plan.
            if task.done:
                log(f"  [{step}/{len(tasks)}] {task.stage}: up to date")
                history.note_stage(root, run, task, "up to date", 0.0)
                continue
            log(f"  [{step}/{len(tasks)}] {task.stage} ...")
            record = execute_in_process(task, cell.settings, root)
            log(f"  [{step}/{len(tasks)}] {task.stage}: {record.seconds:.0f} s")
            history.note_stage(root, run, task, "made", record.seconds)
            demand_inputs_fit(tasks, cell.settings)
        for task in tasks:
            if getattr(load_stage(task.stage), "HEADLINE", False):
                run.headline = read_record(task.folder).metrics
        history.finish(root, run, "done")
    except BaseException as error:
        # A full disk may refuse the record too; the user must see the first error.
        with contextlib.suppress(AeretError):
            history.finish(root, run, "failed" if isinstance(error, Exception) else "interrupted")
        raise
