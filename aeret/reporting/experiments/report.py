"""Build the whole report: what ran, what stands out, one section per experiment, conventions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aeret.errors import UsageError
from aeret.evaluation.experiment import Experiment, measure_of, name_of, over_seeds
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.reporting.experiments import SHOWS
from aeret.reporting.experiments.rows import NAMES, measure_cells
from aeret.reporting.report import Block, Cell, Column, Fact, Facts, Notice, Prose, Report, Section, Table, slug
from aeret.reporting.sections.headlines import LABELS, LAYOUT
from aeret.reporting.sections.provenance import convention_table, version_facts

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
    """Time of all stages of all runs, also of those that an earlier report made."""
    warnings: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def build_experiments_report(
    experiments: Sequence[Experiment], background: Background, progress: Progress = silent
) -> Report:
    """Build the report of all experiments.

    Raises:
        UsageError: there is no finished run.
        UnknownNameError: an experiment asks for a part that no report has.
    """
    if not any(experiment.trials for experiment in experiments):
        raise UsageError("There is no finished run to report on; `aeret run` makes them.")
    sections = [_overview(experiments, background)]
    with progress("report", len(experiments), unit="experiment") as step:
        for experiment in experiments:
            blocks: list[Block] = [Prose(experiment.about)] if experiment.about else []
            for name in experiment.shows:
                blocks += lookup(SHOWS, name, "part of a report")(experiment)
            sections.append(Section(slug(f"experiment-{experiment.name}"), experiment.title, blocks))
            step(1)
    sections.append(_conventions(experiments, background))
    runs = sum(len(experiment.trials) for experiment in experiments)
    subtitle = f"{len(experiments)} experiment{'s' if len(experiments) > 1 else ''} \u00b7 {runs} runs"
    return Report(background.title, subtitle, sections, notices=[Notice(text) for text in background.warnings])


def _overview(experiments: Sequence[Experiment], background: Background) -> Section:
    blocks: list[Block] = [Prose(background.about)] if background.about else []
    facts = [Fact(name, value) for name, value in background.facts.items()]
    facts.append(Fact("time of all stages", background.seconds, "seconds"))
    columns = (
        Column("experiment", "experiment"),
        Column("runs", "runs", "count"),
        Column("rows", "rows", "count", "Runs that differ by their seed alone are one row."),
        Column("compares", "compares"),
        Column("baseline", "with"),
    )
    rows = [
        (each.title, len(each.trials), len(list(each.rows())), each.compare or None, each.reference or None)
        for each in experiments
    ]
    blocks += [
        Facts("report-facts", "This report", facts),
        Table.of_rows("experiments", "Experiments", columns, rows),
        _best(experiments),
    ]
    return Section("overview", "Overview", blocks)


def _best(experiments: Sequence[Experiment]) -> Table:
    """Return the rows with the highest layout measure; one that several experiments ran is shown once."""
    found: dict[frozenset[str], tuple[float, tuple[Cell, ...]]] = {}
    for experiment in experiments:
        for group, arm, trials in experiment.rows():
            same = frozenset(str(trial.artifacts.get("cluster-eval", trial.run)) for trial in trials)
            layout, _ = over_seeds(trials, lambda each: measure_of(each, LAYOUT))
            cells = (f"{experiment.title}: {name_of(group, arm)}", len(trials), *measure_cells(trials, _BEST_OF))
            if math.isfinite(layout):
                found.setdefault(same, (layout, cells))
    rows = [cells for _, cells in sorted(found.values(), key=lambda each: -each[0])[:_BEST]]
    columns = (*NAMES, *(Column(f"m{place}", name, "measure", bar=True) for place, name in enumerate(_BEST_OF)))
    caption = (
        f"The {_BEST} rows with the highest {LAYOUT} on the queries, mean ± sd over seeds. They are chosen by what is "
        "shown of them, so their figures are biased upwards; choose a recipe by validation, and measure it anew."
    )
    return Table.of_rows("best", "The highest layout figures", columns, rows, caption=caption)


def _conventions(experiments: Sequence[Experiment], background: Background) -> Section:
    known: dict[str, str] = {}
    for experiment in experiments:
        for trial in experiment.trials[:1]:
            known |= trial.evaluation.conventions
    columns = (Column("experiment", "experiment"), Column("run", "run"), Column("values", "its place in the matrix"))
    rows = [
        (experiment.name, trial.run, ", ".join(f"{key}={value}" for key, value in trial.values.items()))
        for experiment in experiments
        for trial in experiment.trials
    ]
    caption = "`aeret runs show RUN` prints its settings and where its own report is."
    runs = Table.of_rows("runs", "All runs", columns, rows, caption=caption, folded=True)
    blocks: list[Block] = [convention_table(known), runs]
    if background.versions:
        blocks.append(version_facts(background.versions))
    return Section("conventions", "Conventions, runs, versions", blocks)
