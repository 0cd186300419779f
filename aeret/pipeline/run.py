"""Run a whole pipeline: every cell of its matrix, every stage that is not up to date."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from aeret.artifacts import read_record
from aeret.errors import AeretError, ResourceError, RunError
from aeret.pipeline import history
from aeret.pipeline.execute import execute_in_process
from aeret.pipeline.graph import Sources, Task, plan
from aeret.pipeline.pipelines import Cell, Pipeline, repeated, with_source
from aeret.pipeline.stage_process import StageProcesses


def run_pipeline(pipeline: Pipeline, root: Path, log: Callable[[str], None]) -> list[history.Run]:
    """Run a pipeline; skip what is up to date, resume what was killed, record each run.

    Args:
        pipeline: read by :func:`aeret.pipeline.pipelines.read_pipeline`.
        root: the folder of all runs.
        log: called with lines for the user.

    A failed run of a pipeline of experiments does not end the others: its record says ``failed``, and what is wrong is
    logged. A machine that fails (:class:`~aeret.errors.ResourceError`: a full disk) ends everything.

    Returns:
        One record a cell of the matrix, of all experiments in their order; ``Run.pipeline`` names the experiment.

    Raises:
        DataError: a file of the collection is missing; nothing ran.
        AeretError: a stage failed; the run's record says ``failed``.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the record says ``interrupted`` and the same command resumes.
    """
    # All plans first: what is wrong with the last cell is said before the first has run for hours.
    known: Sources = {}
    parts = parts_of(pipeline, root, known)
    plans = {part.name: [plan(cell.settings, part.stages, root, known) for cell in part.cells] for part in parts}
    group = history.new_group(root, pipeline.name)
    total = sum(len(part.cells) for part in parts)
    runs: list[history.Run] = []
    cells = [(part, cell, tasks) for part in parts for cell, tasks in zip(part.cells, plans[part.name], strict=True)]
    to_come = deque(task for *_, tasks in cells for task in tasks)
    with StageProcesses() as processes:
        for part, cell, tasks in cells:
            label = ".".join(each for each in (part.name if len(parts) > 1 else "", cell.label) if each)
            where = f" {len(runs) + 1}/{total} ({label})" if label else ""
            log(f"Run {group}{where}")
            run = history.start(root, group, label, part.name, cell.values, cell.settings)
            try:
                _run_cell(root, run, cell, tasks, to_come, processes, log)
            except ResourceError:
                raise
            except AeretError as error:
                if not pipeline.experiments:
                    raise
                log(f"  failed: {error}")
            runs.append(run)
    return runs


def parts_of(pipeline: Pipeline, root: Path, known: Sources | None = None) -> list[Pipeline]:
    """Return what runs, in order: the experiments, each after the source of its weights; ``known`` is for the plans."""
    parts: list[Pipeline] = []
    for part in pipeline.experiments or (pipeline,):
        if part.source is not None:
            parts.append(part.source)
            made = plan(part.source.cells[0].settings, ("train-cnn",), root, known)
            part = with_source(part, made[-1].folder)
        parts.append(part)
    if twice := repeated([part.name for part in parts]):
        raise RunError(f"two of the pipelines that would run are named {twice[0]!r}; give one of them pipeline.name.")
    return parts


def _run_cell(
    root: Path,
    run: history.Run,
    cell: Cell,
    tasks: Sequence[Task],
    to_come: deque[Task],
    processes: StageProcesses,
    log: Callable[[str], None],
) -> None:
    try:
        for step, task in enumerate(tasks, 1):
            while to_come.popleft() is not task:  # those of a cell that failed
                pass
            # A cell before this one may have made it since the plan.
            if task.done:
                log(f"  [{step}/{len(tasks)}] {task.stage}: up to date")
                history.note_stage(root, run, task, "up to date", 0.0)
                continue
            log(f"  [{step}/{len(tasks)}] {task.stage} ...")
            following = next((each for each in to_come if each.key != task.key and not each.done), None)
            ahead = following.stage if following and following.keras else ""
            record = execute_in_process(task, cell.settings, root, processes, ahead)
            log(f"  [{step}/{len(tasks)}] {task.stage}: {record.seconds:.0f} s")
            history.note_stage(root, run, task, "made", record.seconds)
        _take_headline(root, run)
        history.finish(root, run, "done")
    except BaseException as error:
        # A full disk may refuse the record too; what went wrong first is what the user must read.
        with contextlib.suppress(AeretError):
            history.finish(root, run, "failed" if isinstance(error, Exception) else "interrupted")
        raise


def _take_headline(root: Path, run: history.Run) -> None:
    folder = history.artifact_of(root, run, "cluster-eval")
    if folder:
        run.headline = read_record(folder).metrics
