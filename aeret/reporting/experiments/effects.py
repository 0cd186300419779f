"""Build what each arm changes against the baseline of its group, measure by measure."""

from __future__ import annotations

import math

import pandas as pd

from aeret.evaluation.experiment import Experiment, effects, measure_of, name_of
from aeret.reporting.experiments.rows import FLOORS, LEVEL, NAMES, first_cells, id_of, measure_cells
from aeret.reporting.plots.intervals import Bar, intervals
from aeret.reporting.report import Block, Cell, Column, Figure, Notice, Table, estimates
from aeret.reporting.sections.headlines import ANY, LABELS, LAYOUT

TESTED = (LAYOUT, LABELS, "layout R@10")
SHOWN = (LAYOUT, LABELS, "layout R@10", ANY, "P(rel=any,average=class)@10")
_COLUMNS = (
    Column("measure", "measure"),
    *NAMES,
    Column("baseline", "baseline", "measure", "Mean over queries and seeds ± sd over seeds."),
    Column("value", "this arm", "measure"),
    Column("difference", "difference", "signed", "With its 95 % bootstrap interval over queries."),
    Column("p", "p", "p", "Two-sided paired randomisation test over queries."),
    Column("p_holm", "adjusted p", "p", "Holm over this table."),
)


def effect_blocks(experiment: Experiment) -> list[Block]:
    """Return the means of every arm and, if arms are compared, the differences with their picture."""
    blocks: list[Block] = [_means(experiment)]
    if not experiment.compare:
        return blocks
    frame = effects(experiment, TESTED)
    if frame.empty:
        return blocks
    blocks += [Notice(verdict(experiment, frame), "note"), _table(experiment, frame, "")]
    for subset in experiment.trials[0].evaluation.facts.get("subsets", {}):
        blocks.append(_table(experiment, effects(experiment, (LAYOUT, "layout R@10"), subset), subset))
    return blocks + [_figure(experiment, frame, measure) for measure in (LAYOUT, LABELS)]


def verdict(experiment: Experiment, frame: pd.DataFrame) -> str:
    """Return in words how many comparisons stand, measure by measure."""
    parts = []
    for measure, own in frame.groupby("measure", sort=False):
        stands = own["p_holm"] < LEVEL
        better, worse = int((stands & (own["difference"] > 0)).sum()), int((stands & (own["difference"] < 0)).sum())
        change = f"mean change {own['difference'].mean():+.3f}"
        parts.append(f"{measure}: better in {better}, worse in {worse} of {len(own)} ({change})")
    text = f"Against {experiment.reference}, at Holm-adjusted p below {LEVEL:g}. {'; '.join(parts)}."
    return f"{text} {few_seeds(frame)}".rstrip()


def few_seeds(frame: pd.DataFrame) -> str:
    """Return what p speaks of if there are only one or two seeds; "" otherwise."""
    fewest = int(frame["seeds"].min())
    if fewest > 2:
        return ""
    seeds = "one seed" if fewest == 1 else f"{fewest} seeds"
    return f"With {seeds}, p and intervals speak of these trained networks; another seed may move a row by as much."


def _means(experiment: Experiment) -> Table:
    present = [
        name for name in SHOWN if any(math.isfinite(measure_of(trial.evaluation, name)) for trial in experiment.trials)
    ]
    columns = (*NAMES, *(Column(f"m{place}", name, "measure", bar=True) for place, name in enumerate(present)))
    rows: list[tuple[Cell, ...]] = []
    kinds = []
    for group, arm, trials in experiment.rows():
        rows.append((*first_cells(group, arm, trials), *measure_cells(trials, present)))
        kinds.append("lead" if arm == experiment.reference and experiment.compare else "")
    first = experiment.trials[0].evaluation
    measured = [first.row(name) for name in present]
    for title, column in FLOORS.items():
        rows.append((title, None, *(None if row is None else float(row[column]) for row in measured)))
        kinds.append("floor")
    caption = f"Mean ± sd over seeds; {first.lead} search in {len(first.gallery_ids)} photos."
    return Table.of_rows(id_of(experiment, "means"), "Means", columns, rows, row_kinds=kinds, caption=caption)


def _table(experiment: Experiment, frame: pd.DataFrame, subset: str) -> Table:
    frame = frame.sort_values("measure", key=lambda each: each.map(TESTED.index), kind="stable")
    shown = frame.assign(
        runs=_names(frame),
        baseline=estimates(frame, "baseline", sd="sd_baseline"),
        value=estimates(frame, "value", sd="sd"),
        difference=estimates(frame, "difference", "low", "high"),
    )
    kinds = ["lead" if p < LEVEL else "" for p in frame["p_holm"]]
    caption = (
        f"Each arm minus {experiment.reference} of the same group: the query is the unit, its value the mean over "
        f"seeds. Bold: the difference stands after Holm's correction over all rows. {few_seeds(frame)}"
    )
    title = f"Differences on the queries of {subset} alone" if subset else "Differences"
    name = id_of(experiment, f"effects-{subset}" if subset else "effects")
    return Table(name, title, _COLUMNS, shown, kinds, caption.rstrip())


def _figure(experiment: Experiment, frame: pd.DataFrame, measure: str) -> Figure:
    own = frame[frame["measure"] == measure]
    parts = (own[part] for part in ("difference", "low", "high", "arm"))
    bars = [Bar(*each) for each in zip(_names(own), *parts, strict=True)]
    svg = intervals(bars, id_of(experiment, f"effect-{measure}"), f"change of {measure}", {"no change": 0.0})
    caption = f"Each arm minus {experiment.reference}, with its 95 % bootstrap interval over queries."
    return Figure(id_of(experiment, f"effect-{measure}-figure"), f"Effect on {measure}", svg, caption)


def _names(frame: pd.DataFrame) -> list[str]:
    return [name_of(*each) for each in zip(frame["group"], frame["arm"], strict=True)]
