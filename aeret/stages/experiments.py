"""The report of the finished runs of experiments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.progress import Progress, silent
from aeret.stages.embedded import Embedded

if TYPE_CHECKING:
    from aeret.evaluation.experiment import Experiment

EVALUATED = "cluster-eval"


@dataclass(frozen=True)
class FinishedRun:
    """A finished run, as the history has it."""

    id: str
    values: Mapping[str, Any]
    artifacts: Mapping[str, Path]
    """Stage to folder."""


@dataclass(frozen=True)
class Question:
    """What an experiment asks (see ``PipelineBlock``), and its runs."""

    name: str
    title: str
    about: str
    shows: tuple[str, ...]
    compare: str
    baseline: str
    runs: tuple[FinishedRun, ...]


def report_experiments(
    questions: Sequence[Question],
    title: str,
    about: str,
    facts: Mapping[str, str],
    warnings: Sequence[str],
    out: Path,
    progress: Progress = silent,
) -> None:
    """Write the report of all experiments into a folder: HTML, Markdown, CSV, JSON.

    Raises:
        UsageError: there is no finished run.
        DataError: an artifact is damaged.
    """
    from aeret.artifacts import read_record
    from aeret.reporting import write
    from aeret.reporting.experiments.report import Background, build_experiments_report

    folders = {folder for question in questions for run in question.runs for folder in run.artifacts.values()}
    records = [read_record(folder) for folder in sorted(folders)]
    versions = {name: version for record in records for name, version in record.versions.items()}
    experiments = [_experiment(question) for question in questions if question.runs]
    said = dict.fromkeys((*warnings, *(text for question in questions for text in _warnings(question))))
    background = Background(title, about, facts, sum(record.seconds for record in records), tuple(said), versions)
    write(build_experiments_report(experiments, background, progress), out)


def _experiment(question: Question) -> Experiment:
    from aeret.evaluation.experiment import Experiment, Trial
    from aeret.evaluation.result import Evaluation

    trials = tuple(
        Trial(run.id, run.values, Evaluation.load(run.artifacts[EVALUATED]), _opener(run), run.artifacts)
        for run in question.runs
    )
    return Experiment(
        question.name, question.title, question.about, question.shows, question.compare, question.baseline, trials
    )


def _warnings(question: Question) -> Iterator[str]:
    """Yield what a reader must know of the collections before believing a number."""
    opened: set[Path] = set()
    for run in question.runs:
        if run.artifacts["prepare"] not in opened:
            opened.add(run.artifacts["prepare"])
            yield from Embedded(run.artifacts).warnings()


def _opener(run: FinishedRun) -> Any:
    opened: list[Embedded] = []

    def open_once() -> Embedded:
        if not opened:
            opened.append(Embedded(run.artifacts))
        return opened[0]

    return open_once
