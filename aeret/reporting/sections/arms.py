"""Build the tables and the figure that set arms side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from aeret.evaluation.result import Evaluation
from aeret.reporting.plots.layout_against_labels import layout_against_labels
from aeret.reporting.sections.headlines import ANY, LABELS, LAYOUT, MEAN_AP
from aeret.reporting.values import Cell, Column, Estimate, Figure, Table, with_data

KEY = (
    LAYOUT,
    LAYOUT.replace(")@", ",search=exhaustive)@"),
    "layout R@10",
    LABELS,
    LABELS.replace(")@", ",search=exhaustive)@"),
    MEAN_AP,
    ANY,
)
"""The measures that are tested together, as one family of Holm's correction; the rest is shown apart."""
LEVEL = 0.05
Arms = Mapping[str, Sequence[Evaluation]]


def difference_table(name: str, title: str, frame: pd.DataFrame, caption: str, folded: bool = False) -> Table:
    """Return the rows of :func:`aeret.evaluation.compare.compare`, significant ones in bold."""
    columns = (
        Column("measure", "measure"),
        Column("queries", "queries", "count"),
        Column("baseline", "baseline", "measure", "Mean over queries and seeds, ± sd over seeds."),
        Column("candidate", "this arm", "measure", "Mean over queries and seeds, ± sd over seeds."),
        Column("difference", "difference", "signed", "With its 95 % bootstrap interval over queries."),
        Column("p", "p", "p", "Two-sided paired randomisation test."),
        Column("p_holm", "adjusted p", "p", "Holm's correction over this table."),
        Column("p_wilcoxon", "Wilcoxon p", "p", "Signed-rank test, not corrected."),
        Column("better", "better", "percent", "Queries the arm answers better."),
        Column("worse", "worse", "percent"),
    )
    rows: list[tuple[Cell, ...]] = []
    kinds = []
    for _, row in frame.iterrows():
        rows.append(
            (
                row["measure"],
                row["queries"],
                Estimate(row["baseline"], sd=row["sd_baseline"]),
                Estimate(row["candidate"], sd=row["sd_candidate"]),
                Estimate(row["difference"], row["low"], row["high"]),
                row["p"],
                row["p_holm"],
                row["p_wilcoxon"],
                row["p_better"],
                row["p_worse"],
            )
        )
        kinds.append("lead" if row["p_holm"] < LEVEL else "")
    notes = tuple(f"{row['measure']}: {row['note']}." for _, row in frame.iterrows() if row["note"])
    return Table(name, title, columns, tuple(rows), tuple(kinds), caption, notes, folded)


def arms_table(arms: Arms) -> Table:
    """Return the means of the key measures over seeds, an arm a row, then the floors."""
    # The exhaustive search has its rows in the tables of differences; its long names would push others out of sight.
    shown = [m for m in (*KEY, "P(rel=any,average=class)@10") if "search=" not in m]
    names = [m for m in shown if any(_of_seeds(each, m) for each in arms.values())]
    columns = (
        Column("arm", "arm"),
        Column("seeds", "seeds", "count"),
        *(Column(f"m{place}", name, "measure", bar=True) for place, name in enumerate(names)),
        Column("pairwise", "pairwise F(rel=any)", "measure", "Of the clusters; not a mean over queries.", bar=True),
    )
    rows: list[tuple[Cell, ...]] = []
    for arm, each in arms.items():
        found = [_of_seeds(each, name) for name in names]
        found.append([float(one.pairs["f"].iloc[0]) for one in each if not one.pairs.empty])
        cells: list[Cell] = [Estimate(float(np.mean(v)), sd=_sd(v)) if v else None for v in found]
        rows.append((arm, len(each), *cells))
    kinds = [""] * len(rows)
    first = next(iter(arms.values()))[0]
    for title, column in (("random floor", "floor_random"), ("query-free floor", "floor_query_free")):
        rows.append((title, None, *(_floor(first, name, column) for name in names), _pairwise_floor(first, column)))
        kinds.append("floor")
    caption = "Mean over seeds, ± sd over seeds, of each arm's lead search."
    return Table("arms-table", "Means", columns, tuple(rows), tuple(kinds), caption)


def _of_seeds(arm: Sequence[Evaluation], measure: str) -> list[float]:
    """Return a measure of each seed; empty where a seed does not have it."""
    found = []
    for each in arm:
        if measure in each.per_query:
            found.append(float(each.per_query[measure].mean()))
        elif (row := each.row(measure)) is not None:
            found.append(float(row["value"]))
    return found if len(found) == len(arm) else []


def _sd(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _floor(evaluation: Evaluation, measure: str, column: str) -> Cell:
    row = evaluation.row(measure)
    if row is not None:
        return float(row[column])
    if measure == "layout R@10" and column == "floor_random":
        return min(1.0, 10 / len(evaluation.per_query))
    return None


def _pairwise_floor(evaluation: Evaluation, column: str) -> Cell:
    """Return pairwise F of a random partition, and of one single cluster, which looks at no photo."""
    name = "random partition" if column == "floor_random" else "single cluster"
    chosen = evaluation.pairs[evaluation.pairs["name"] == name]
    return None if chosen.empty else float(chosen["f"].iloc[0])


def arms_figure(arms: Arms) -> Figure | None:
    """Return layout against labels of every evaluation, or None if no evaluation has both measures."""
    rows = [
        (arm, each.facts.get("seed", place), float(each.per_query[LABELS].mean()), float(each.per_query[LAYOUT].mean()))
        for arm, group in arms.items()
        for place, each in enumerate(group)
        if LABELS in each.per_query and LAYOUT in each.per_query
    ]
    return trade_off_figure(rows, "layout-against-labels", "arms-plot") if rows else None


def trade_off_figure(rows: Sequence[tuple[Cell, ...]], name: str, plot: str) -> Figure:
    """Return layout against labels with its numbers.

    Args:
        rows: arm, seed, mean of the label measure and mean of the layout measure.
        name: id of the figure.
        plot: prefix of the ids inside its SVG.
    """
    points = pd.DataFrame(rows, columns=pd.Index(["arm", "seed", "x", "y"]))
    caption = "One point per arm and seed, the ring is an arm's mean. Up is better layout, right is better labels."
    svg = layout_against_labels(points, plot, f"labels: {LABELS}", f"layout: {LAYOUT}")
    columns = (
        Column("arm", "arm"),
        Column("seed", "seed", "count"),
        Column("x", LABELS, "measure"),
        Column("y", LAYOUT, "measure"),
    )
    return with_data(Figure(name, "Layout against labels", svg, caption), columns, rows)
