"""What each shortcut of the search costs, step by step, by class, and how far queries spill over their cluster."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from aeret.evaluation.result import Evaluation
from aeret.reporting.plots.waterfall import spill_bars, waterfall_bars
from aeret.reporting.values import Block, Cell, Column, Estimate, Fact, Facts, Figure, Section, Table, slug, with_data

_FEW = 8


def waterfall_section(evaluation: Evaluation) -> Section:
    """Return the loss waterfall, its cost by class, and the spill histogram."""
    blocks: list[Block] = []
    if not evaluation.waterfall.empty:
        blocks += [
            _figure(evaluation.waterfall),
            _table(evaluation.waterfall),
        ]
    if evaluation.timings:
        blocks.append(_times(evaluation.timings))
    if not evaluation.class_losses.empty:
        blocks.append(_classes(evaluation.class_losses))
    if not evaluation.spill.empty:
        blocks.append(_spill(evaluation.spill))
    return Section("shortcuts", "What the shortcuts cost", tuple(blocks))


def _figure(frame: pd.DataFrame) -> Figure:
    caption = (
        "Difference from exact search, mean over queries with its 95 % interval. Compressed: product-quantised "
        "vectors; hashed: binary codes; re-ranked: the first results of hashed search scored again with the vectors."
    )
    return Figure("waterfall", "Loss against exact search", waterfall_bars(frame, "waterfall"), caption)


def _table(frame: pd.DataFrame) -> Table:
    measures = list(dict.fromkeys(frame["measure"]))
    rows: list[tuple[Cell, ...]] = []
    for step in dict.fromkeys(frame["step"]):
        part = frame[frame["step"] == step].set_index("measure")
        first = part.iloc[0]
        cells: list[Cell] = [step, float(first["bytes_per_photo"])]
        for measure in measures:
            own = part.loc[measure]
            cells.append(float(own["value"]))
            cells.append(Estimate(*(float(own[name]) for name in ("from_exact", "from_exact_low", "from_exact_high"))))
        rows.append(tuple(cells))
    columns = [
        Column("step", "search"),
        Column("bytes", "per photo", "bytes", "Codes, ids and structures in memory."),
    ]
    for measure in measures:
        columns += [
            Column(slug(measure), measure, "measure"),
            Column(f"{slug(measure)}-lost", "from exact", "signed", "Mean difference over queries, 95 % interval."),
        ]
    return Table("waterfall-table", "Measure and memory of each step", tuple(columns), tuple(rows))


def _times(timings: Mapping[str, float]) -> Facts:
    facts = tuple(Fact(step, ms, "number", "ms") for step, ms in timings.items())
    caption = "All queries in one batch, on the run's machine: the numbers here that another run does not give again."
    return Facts("shortcut-times", "Time of one query", facts, caption)


def _classes(frame: pd.DataFrame) -> Table:
    steps = list(frame.columns[2:])
    last = frame[steps[-1]] - frame[steps[0]]
    lost = frame[steps[1:]].sub(frame[steps[0]], axis=0)
    order = lost.min(axis=1).sort_values(kind="stable").index
    rows: list[tuple[Cell, ...]] = []
    for record, losses in zip(frame.loc[order].to_dict("records"), lost.loc[order].to_numpy(), strict=True):
        rows.append((record["category"], record["queries"], record[steps[0]], *(float(loss) for loss in losses)))
    columns = (
        Column("category", "category"),
        Column("queries", "queries", "count"),
        Column("exact", "exact P@10", "measure", "Share of the first ten results that hold the category.", bar=True),
        *(Column(slug(step), step, "signed", "Difference from exact.") for step in steps[1:]),
    )
    losers = int((last < 0).sum())
    caption = f"P@10 of each category, the one that loses most first; {losers} of {len(frame)} lose in the end."
    return Table(
        "waterfall-classes", "Loss by category", columns, tuple(rows), caption=caption, folded=len(rows) > 2 * _FEW
    )


def _spill(frame: pd.DataFrame) -> Figure:
    alone = float(frame.loc[frame["clusters"] == 1, "share"].sum())
    caption = (
        f"Clusters visited until N results were found. {100 * alone:.0f} % of the queries found all in their nearest "
        "cluster; the others spill over into the next."
    )
    figure = Figure("spill", "How far queries spill over", spill_bars(frame, "spill"), caption)
    columns = (
        Column("clusters", "clusters visited", "count"),
        Column("queries", "queries", "count"),
        Column("share", "share", "percent"),
    )
    return with_data(figure, columns, frame[["clusters", "queries", "share"]].itertuples(index=False, name=None))
