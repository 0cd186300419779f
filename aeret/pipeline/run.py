"""Run a whole pipeline: every cell of its matrix, every stage that is not up to date."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from aeret.artifacts import read_record
from aeret.errors import ResourceError
from aeret.pipeline import history
from aeret.pipeline.execute import execute_in_process
from aeret.pipeline.graph import plan
from aeret.pipeline.pipelines import Pipeline


def run_pipeline(pipeline: Pipeline, root: Path, log: Callable[[str], None]) -> list[history.Run]:
    """Run a pipeline; skip what is up to date, resume what was killed, record each run.

    Args:
        pipeline: read by :func:`aeret.pipeline.pipelines.read_pipeline`.
        root: the folder of all runs.
        log: called with lines for the user.

    Returns:
        One record a cell of the matrix.

    Raises:
        DataError: a file of the collection is missing; nothing ran.
        AeretError: a stage failed; the run's record says ``failed``.
        KeyboardInterrupt: Ctrl-C or SIGTERM; the record says ``interrupted`` and the same command resumes.
    """
    # All plans first: what is wrong with the last cell is said before the first has run for hours.
    plans = [plan(cell.settings, pipeline.stages, root) for cell in pipeline.cells]
    group = history.new_group(root, pipeline.name)
    runs = []
    for number, (cell, tasks) in enumerate(zip(pipeline.cells, plans, strict=True), 1):
        where = f" {number}/{len(pipeline.cells)} ({cell.label})" if cell.label else ""
        log(f"Run {group}{where}")
        run = history.start(root, group, cell.label, pipeline.name, cell.values, cell.settings)
        try:
            for step, task in enumerate(tasks, 1):
                if task.done:
                    log(f"  [{step}/{len(tasks)}] {task.stage}: up to date")
                    history.note_stage(root, run, task, "up to date", 0.0)
                    continue
                log(f"  [{step}/{len(tasks)}] {task.stage} ...")
                record = execute_in_process(task, cell.settings, root)
                log(f"  [{step}/{len(tasks)}] {task.stage}: {record.seconds:.0f} s")
                history.note_stage(root, run, task, "made", record.seconds)
            _take_headline(root, run)
            history.finish(root, run, "done")
        except BaseException as error:
            # A full disk may refuse the record too; what went wrong first is what the user must read.
            with contextlib.suppress(ResourceError):
                history.finish(root, run, "failed" if isinstance(error, Exception) else "interrupted")
            raise
        runs.append(run)
    return runs


def _take_headline(root: Path, run: history.Run) -> None:
    folder = history.artifact_of(root, run, "cluster-eval")
    if folder:
        run.headline = read_record(folder).metrics
