"""What each arm changes against the baseline of its group, measure by measure."""

from __future__ import annotations

import math

import pandas as pd

from aeret.evaluation.experiment import Experiment, effects, measure_of, name_of
from aeret.reporting.experiments.rows import LEVEL, NAMES, first_cells, id_of, mean_cell
from aeret.reporting.plots.intervals import Bar, intervals
from aeret.reporting.sections.headlines import ANY, LABELS, LAYOUT
from aeret.reporting.values import Block, Cell, Column, Estimate, Figure, Notice, Table

TESTED = (LAYOUT, LABELS, "layout R@10")
SHOWN = (LAYOUT, LABELS, "layout R@10", ANY, "P(rel=any,average=class)@10")


def effect_blocks(experiment: Experiment) -> list[Block]:
    """Return the means of every arm, and, where arms are compared, the differences with their picture."""
    blocks: list[Block] = [_means(experiment)]
    if not experiment.compare:
        return blocks
    frame = effects(experiment, TESTED)
    if frame.empty:
        return blocks
    blocks += [Notice(verdict(experiment, frame), "note"), _table(experiment, frame, "")]
    for subset in experiment.trials[0].evaluation.facts.get("subsets", {}):
        blocks.append(_table(experiment, effects(experiment, (LAYOUT, "layout R@10"), subset), subset))
    for measure in (LAYOUT, LABELS):
        own = frame[frame["measure"] == measure]
        bars = [
            Bar(name_of(row["group"], row["arm"]), row["difference"], row["low"], row["high"], row["arm"])
            for _, row in own.iterrows()
        ]
        svg = intervals(bars, id_of(experiment, f"effect-{measure}"), f"change of {measure}", {"no change": 0.0})
        caption = f"Each arm minus {experiment.reference}, with its 95 % bootstrap interval over queries."
        title = f"Effect on {measure}"
        blocks.append(Figure(id_of(experiment, f"effect-{measure}-figure"), title, svg, caption))
    return blocks


def verdict(experiment: Experiment, frame: pd.DataFrame) -> str:
    """Return in words how many comparisons stand, measure by measure."""
    parts = []
    for measure in dict.fromkeys(frame["measure"]):
        own = frame[frame["measure"] == measure]
        stands = own["p_holm"] < LEVEL
        better, worse = int((stands & (own["difference"] > 0)).sum()), int((stands & (own["difference"] < 0)).sum())
        change = f"mean change {own['difference'].mean():+.3f}"
        parts.append(f"{measure}: better in {better}, worse in {worse} of {len(own)} ({change})")
    text = f"Against {experiment.reference}, at Holm-adjusted p below {LEVEL:g}. {'; '.join(parts)}."
    return f"{text} {few_seeds(frame)}".rstrip()


def few_seeds(frame: pd.DataFrame) -> str:
    """Return what p speaks of where seeds are few: it is over queries, and takes the trained networks as they are."""
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
        cells = [mean_cell(trials, lambda each, name=name: measure_of(each, name)) for name in present]  # type: ignore[misc]
        rows.append((*first_cells(group, arm, trials), *cells))
        kinds.append("lead" if arm == experiment.reference and experiment.compare else "")
    first = experiment.trials[0].evaluation
    for title, column in (("random floor", "floor_random"), ("query-free floor", "floor_query_free")):
        found = [first.row(name) for name in present]
        rows.append((title, None, *(None if row is None else float(row[column]) for row in found)))
        kinds.append("floor")
    caption = f"Mean ± sd over seeds; {first.lead} search in {len(first.gallery_ids)} photos."
    return Table(id_of(experiment, "means"), "Means", columns, tuple(rows), tuple(kinds), caption)


def _table(experiment: Experiment, frame: pd.DataFrame, subset: str) -> Table:
    columns = (
        Column("measure", "measure"),
        *NAMES,
        Column("baseline", "baseline", "measure", "Mean over queries and seeds ± sd over seeds."),
        Column("value", "this arm", "measure"),
        Column("difference", "difference", "signed", "With its 95 % bootstrap interval over queries."),
        Column("p", "p", "p", "Two-sided paired randomisation test over queries."),
        Column("p_holm", "adjusted p", "p", "Holm over this table."),
    )
    rows = []
    for _, row in frame.sort_values("measure", key=lambda each: each.map(TESTED.index), kind="stable").iterrows():
        rows.append(
            (
                row["measure"],
                name_of(row["group"], row["arm"]),
                row["seeds"],
                Estimate(row["baseline"], sd=row["sd_baseline"]),
                Estimate(row["value"], sd=row["sd"]),
                Estimate(row["difference"], row["low"], row["high"]),
                row["p"],
                row["p_holm"],
            )
        )
    kinds = tuple("lead" if row[-1] < LEVEL else "" for row in rows)
    caption = (
        f"Each arm minus {experiment.reference} of the same group: the query is the unit, its value the mean over "
        f"seeds. Bold: the difference stands after Holm's correction over all rows. {few_seeds(frame)}"
    )
    title = f"Differences on the queries of {subset} alone" if subset else "Differences"
    name = id_of(experiment, f"effects-{subset}" if subset else "effects")
    return Table(name, title, columns, tuple(rows), kinds, caption.rstrip())
