"""The whole report: what ran, what stands out, one section an experiment, conventions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aeret.errors import UsageError
from aeret.evaluation.experiment import Experiment, measure_of, name_of, over_seeds
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.reporting.experiments import SHOWS
from aeret.reporting.experiments.rows import NAMES, first_cells, mean_cell
from aeret.reporting.sections.headlines import LABELS, LAYOUT
from aeret.reporting.values import Block, Cell, Column, Fact, Facts, Notice, Prose, Report, Section, Table, slug

_BEST = 10
_BEST_OF = (LAYOUT, LABELS, "layout R@10")


@dataclass(frozen=True)
class Background:
    """What ran on what."""

    title: str
    about: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Shown first: collection, command, preset, date."""
    seconds: float = 0.0
    """All stages of all runs, those made for an earlier report too."""
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def build_experiments_report(
    experiments: Sequence[Experiment], background: Background, progress: Progress = silent
) -> Report:
    """Build the report of all experiments.

    Raises:
        UsageError: there is no finished run.
        UnknownNameError: an experiment asks for what no section shows.
    """
    if not any(experiment.trials for experiment in experiments):
        raise UsageError("There is no finished run to report on; `aeret run` makes them.")
    sections = [_overview(experiments, background)]
    with progress("report", len(experiments), unit="experiment") as step:
        for experiment in experiments:
            blocks: list[Block] = [Prose(experiment.about)] if experiment.about else []
            for name in experiment.shows:
                blocks += lookup(SHOWS, name, "part of a report")(experiment)
            sections.append(Section(slug(f"experiment-{experiment.name}"), experiment.title, tuple(blocks)))
            step(1)
    sections.append(_conventions(experiments, background))
    runs = sum(len(experiment.trials) for experiment in experiments)
    subtitle = f"{len(experiments)} experiment{'s' if len(experiments) > 1 else ''} \u00b7 {runs} runs"
    notices = tuple(Notice(text, "warning") for text in background.warnings)
    return Report(background.title, subtitle, (), tuple(sections), notices)


def _overview(experiments: Sequence[Experiment], background: Background) -> Section:
    blocks: list[Block] = [Prose(background.about)] if background.about else []
    facts = [Fact(name, value) for name, value in background.facts.items()]
    facts.append(Fact("time of all stages", background.seconds, "seconds"))
    blocks.append(Facts("report-facts", "This report", tuple(facts)))
    columns = (
        Column("experiment", "experiment"),
        Column("runs", "runs", "count"),
        Column("rows", "rows", "count", "Runs that differ by their seed alone are one row."),
        Column("compares", "compares"),
        Column("baseline", "with"),
    )
    rows = tuple(
        (each.title, len(each.trials), len(list(each.rows())), each.compare or None, each.reference or None)
        for each in experiments
    )
    blocks.append(Table("experiments", "Experiments", columns, rows))
    blocks.append(_best(experiments))
    return Section("overview", "Overview", tuple(blocks))


def _best(experiments: Sequence[Experiment]) -> Table:
    """Return the rows with the highest layout measure; one that several experiments ran is shown once."""
    found: dict[frozenset[str], tuple[float, tuple[Cell, ...]]] = {}
    for experiment in experiments:
        for group, arm, trials in experiment.rows():
            same = frozenset(str(trial.artifacts.get("cluster-eval", trial.run)) for trial in trials)
            layout, _ = over_seeds(trials, lambda each: measure_of(each, LAYOUT))
            cells = [mean_cell(trials, lambda each, name=name: measure_of(each, name)) for name in _BEST_OF]  # type: ignore[misc]
            name = f"{experiment.title}: {name_of(group, arm)}"
            found.setdefault(same, (layout, (name, *first_cells(group, arm, trials)[1:], *cells)))
    order = sorted((each for each in found.values() if math.isfinite(each[0])), key=lambda each: -each[0])
    columns = (*NAMES, *(Column(f"m{place}", name, "measure", bar=True) for place, name in enumerate(_BEST_OF)))
    caption = (
        f"The {_BEST} rows with the highest {LAYOUT} on the queries, mean ± sd over seeds. They are chosen by what is "
        "shown of them, so their figures are biased upwards; choose a recipe by validation, and measure it anew."
    )
    return Table("best", "The highest layout figures", columns, tuple(row for _, row in order[:_BEST]), (), caption)


def _conventions(experiments: Sequence[Experiment], background: Background) -> Section:
    known: dict[str, str] = {}
    for experiment in experiments:
        for trial in experiment.trials[:1]:
            known |= trial.evaluation.conventions
    columns = (Column("name", "what"), Column("convention", "how it is defined"))
    blocks: list[Block] = [Table("convention-list", "How every number is defined", columns, tuple(known.items()))]
    rows = tuple(
        (experiment.name, trial.run, ", ".join(f"{key}={value}" for key, value in trial.values.items()))
        for experiment in experiments
        for trial in experiment.trials
    )
    blocks.append(
        Table(
            "runs",
            "All runs",
            (Column("experiment", "experiment"), Column("run", "run"), Column("values", "its place in the matrix")),
            rows,
            caption="`aeret runs show RUN` prints its settings and where its own report is.",
            folded=True,
        )
    )
    facts = tuple(Fact(name, version) for name, version in background.versions.items())
    if facts:
        blocks.append(Facts("versions", "Versions", facts, folded=True))
    return Section("conventions", "Conventions, runs, versions", tuple(blocks))
