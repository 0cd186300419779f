"""Report the finished runs of experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.progress import Progress, silent
from aeret.stages.embedded import Embedded

if TYPE_CHECKING:
    from aeret.evaluation.experiment import Experiment, Trial

EVALUATED = "cluster-eval"


def finished_trial(run: str, values: Mapping[str, Any], artifacts: Mapping[str, Path]) -> Trial:
    """Open the evaluation of a finished run; photos open on first use.

    Args:
        run: its id.
        values: its place in the matrix.
        artifacts: stage to folder.

    Raises:
        DataError: the evaluation is damaged.
    """
    from aeret.evaluation.experiment import Trial
    from aeret.evaluation.result import Evaluation

    return Trial(run, values, Evaluation.open(artifacts[EVALUATED]), cache(lambda: Embedded(artifacts)), artifacts)


def report_experiments(
    experiments: Sequence[Experiment],
    title: str,
    about: str,
    facts: Mapping[str, str],
    warnings: Sequence[str],
    out: Path,
    progress: Progress = silent,
) -> None:
    """Write the report of all experiments as HTML, Markdown, CSV and JSON.

    Raises:
        UsageError: no run is finished.
        DataError: an artifact is damaged.
    """
    from aeret.artifacts import read_record
    from aeret.reporting import write
    from aeret.reporting.experiments.report import Background, build_experiments_report

    experiments = [experiment for experiment in experiments if experiment.trials]
    every = [trial.artifacts for experiment in experiments for trial in experiment.trials]
    records = [read_record(folder) for folder in sorted({folder for each in every for folder in each.values()})]
    versions = {name: version for record in records for name, version in record.versions.items()}
    # The warnings of a collection are the same for all runs on it.
    collections = {each["prepare"]: each for each in every}.values()
    said = dict.fromkeys((*warnings, *(text for each in collections for text in Embedded(each).warnings())))
    background = Background(title, about, facts, sum(record.seconds for record in records), tuple(said), versions)
    write(build_experiments_report(experiments, background, progress), out)
