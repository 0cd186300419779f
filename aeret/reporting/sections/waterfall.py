"""Build the section of what each shortcut of the search costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from aeret.evaluation.result import Evaluation
from aeret.reporting.plots.waterfall import spill_bars, waterfall_bars
from aeret.reporting.report import Block, Column, Fact, Facts, Figure, Section, Table, estimates, slug

_FEW = 8


def waterfall_section(evaluation: Evaluation) -> Section:
    """Return the loss of each step, its time, its cost by class, and the spill over clusters."""
    return Section("shortcuts", "What the shortcuts cost", tuple(_blocks(evaluation)))


def _blocks(evaluation: Evaluation) -> Iterator[Block]:
    if not evaluation.waterfall.empty:
        caption = (
            "Difference from exact search, mean over queries with its 95 % interval. Compressed: product-quantised "
            "vectors; hashed: binary codes; re-ranked: the first results of hashed search scored again with the "
            "vectors."
        )
        svg = waterfall_bars(evaluation.waterfall, "waterfall")
        yield Figure("waterfall", "Loss against exact search", svg, caption)
        yield _steps(evaluation.waterfall)
    if evaluation.timings:
        yield _times(evaluation.timings)
    if not evaluation.class_losses.empty:
        yield _classes(evaluation.class_losses)
    if not evaluation.spill.empty:
        yield _spill(evaluation.spill)


def _steps(frame: pd.DataFrame) -> Table:
    columns = [
        Column("step", "search"),
        Column("bytes", "per photo", "bytes", "Codes, ids and structures in memory."),
    ]
    steps = frame.drop_duplicates("step").set_index("step")
    shown = pd.DataFrame({"step": steps.index, "bytes": steps["bytes_per_photo"].to_numpy()})
    for measure, part in frame.groupby("measure", sort=False):
        name, own = slug(str(measure)), part.set_index("step").loc[steps.index]
        shown[name] = own["value"].to_numpy()
        shown[f"{name}-lost"] = estimates(own, "from_exact", "from_exact_low", "from_exact_high").to_numpy()
        columns += [
            Column(name, str(measure), "measure"),
            Column(f"{name}-lost", "from exact", "signed", "Mean difference over queries, 95 % interval."),
        ]
    return Table("waterfall-table", "Measure and memory of each step", columns, shown)


def _times(timings: Mapping[str, float]) -> Facts:
    facts = [Fact(step, ms, "number", "ms") for step, ms in timings.items()]
    caption = "All queries in one batch, on the run's machine: the numbers here that another run does not give again."
    return Facts("shortcut-times", "Time of one query", facts, caption)


def _classes(frame: pd.DataFrame) -> Table:
    exact, *steps = frame.columns[2:]
    lost = frame[steps].sub(frame[exact], axis=0)
    order = lost.min(axis=1).sort_values(kind="stable").index
    shown = frame[["category", "queries"]].assign(exact=frame[exact], **{slug(step): lost[step] for step in steps})
    columns = (
        Column("category", "category"),
        Column("queries", "queries", "count"),
        Column("exact", "exact P@10", "measure", "Share of the first ten results that hold the category.", bar=True),
        *(Column(slug(step), step, "signed", "Difference from exact.") for step in steps),
    )
    losers = int((lost[steps[-1]] < 0).sum())
    caption = f"P@10 of each category, the one that loses most first; {losers} of {len(frame)} lose in the end."
    return Table(
        "waterfall-classes",
        "Loss by category",
        columns,
        shown.loc[order],
        caption=caption,
        folded=len(frame) > 2 * _FEW,
    )


def _spill(frame: pd.DataFrame) -> Figure:
    alone = float(frame.loc[frame["clusters"] == 1, "share"].sum())
    caption = (
        f"Clusters visited until N results were found. {100 * alone:.0f} % of the queries found all in their nearest "
        "cluster; the others spill over into the next."
    )
    columns = (
        Column("clusters", "clusters visited", "count"),
        Column("queries", "queries", "count"),
        Column("share", "share", "percent"),
    )
    figure = Figure("spill", "How far queries spill over", spill_bars(frame, "spill"), caption)
    return figure.with_numbers(columns, frame)
