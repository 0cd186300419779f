"""Search quality: measures by method, the PR curve, P, R and F at the cut-offs, cost of the search, categories."""

from __future__ import annotations

import re

import pandas as pd

from aeret.evaluation.result import Evaluation
from aeret.reporting.plots.cutoffs import cutoff_lines
from aeret.reporting.plots.pr_curve import pr_curve
from aeret.reporting.values import Block, Cell, Column, Estimate, Figure, Section, Table, slug, with_data

_FEW = 8


def search_section(evaluation: Evaluation) -> Section:
    """Return the measures by method, precision against recall, P, R and F at each N, and what the search costs."""
    blocks: list[Block] = [_by_method(evaluation)]
    if not evaluation.pr_curve.empty:
        blocks.append(_pr_figure(evaluation.pr_curve))
    if not evaluation.cutoffs.empty:
        blocks.extend((_cutoff_figure(evaluation.cutoffs), _cutoff_table(evaluation)))
    if not evaluation.search.empty:
        blocks.append(_cost(evaluation.search))
    return Section("search", "Search quality", tuple(blocks))


def category_section(evaluation: Evaluation) -> Section:
    """Return the measures of each category; of many, first those that the search helps most and least."""
    frame = evaluation.per_class.sort_values("AP", ascending=False, kind="stable")
    many = len(frame) > 3 * _FEW
    title, caption = "Measures by category", "Queries that hold the category; relevant is what holds it too."
    blocks: list[Block] = []
    if many:
        gained = frame.assign(gain=frame["AP"] - frame["floor_ap"]).sort_values("gain", ascending=False, kind="stable")
        most, least = gained.head(_FEW), gained.tail(_FEW)
        blocks.append(
            _categories("categories-most", "Furthest above chance", most, caption + " By AP above its floor.")
        )
        blocks.append(_categories("categories-least", "Nearest to chance, or below", least, ""))
        title = f"All {len(frame)} categories, best average precision first"
    blocks.append(_categories("categories-all", title, frame, caption, folded=many))
    return Section("categories", "Category by category", tuple(blocks))


def _categories(name: str, title: str, frame: pd.DataFrame, caption: str, folded: bool = False) -> Table:
    columns = (
        Column("category", "category"),
        Column("queries", "queries", "count"),
        Column("prevalence", "in the gallery", "percent"),
        Column("P@10", "P@10", "measure", "Share of the first ten results that hold the category.", bar=True),
        Column("floor", "floor", "measure", "P@10 of a random ranking."),
        Column("AP", "AP", "measure", bar=True),
        Column("floor_ap", "floor", "measure", "AP of a random ranking."),
    )
    rows = tuple(frame[[column.name for column in columns]].itertuples(index=False, name=None))
    return Table(name, title, columns, rows, caption=caption, folded=folded)


def methods(evaluation: Evaluation) -> list[str]:
    """Return the methods, the exhaustive reference first."""
    return sorted(dict.fromkeys(evaluation.measures["method"]), key=lambda method: method != "exhaustive")


def _by_method(evaluation: Evaluation) -> Table:
    frame, names = evaluation.measures, methods(evaluation)
    rows: list[tuple[Cell, ...]] = []
    for measure in _in_reading_order(list(dict.fromkeys(frame["measure"]))):
        present = frame[frame["measure"] == measure].set_index("method")
        cells = [_estimate(present, method) for method in names]
        base = evaluation.lead if evaluation.lead in present.index else str(present.index[0])
        random, free = _number(present, base, "floor_random"), _number(present, base, "floor_query_free")
        skill = (_number(present, base, "value") - free) / (1 - free) if free < 1 else None
        counts = (int(_number(present, base, "queries")), int(_number(present, base, "skipped")))
        rows.append((measure, *cells, random, free, skill, *counts))
    columns = (
        Column("measure", "measure"),
        *(
            Column(slug(name), f"{name} (lead)" if name == evaluation.lead else name, "measure", bar=True)
            for name in names
        ),
        Column("floor_random", "random", "measure", "Floor: a random ranking."),
        Column(
            "floor_query_free",
            "query-free",
            "measure",
            "Floor: an oracle's constant list, by the labels and masks of gallery and queries.",
        ),
        Column("skill", "skill", "signed", "(value - query-free) / (1 - query-free) of the lead method."),
        Column("queries", "queries", "count"),
        Column("skipped", "skipped", "count", "Queries with nothing relevant in the gallery."),
    )
    notes = (
        "Small print under a number: its 95 % interval, from a bootstrap over queries.",
        "The query-free floor is informed: it is one fixed list made from the labels (for layout, the masks) of "
        "gallery and queries, which no search of photos knows.",
        "Skill is what is left of the way from the query-free floor to 1; below zero the ranking is worse than one "
        "that never looks at the query.",
    )
    caption = "Every measure for each way of searching, beside the two floors it must beat."
    return Table("measures", "Measures by method", columns, tuple(rows), caption=caption, notes=notes)


def _in_reading_order(measures: list[str]) -> list[str]:
    """Layout and label nDCG first; P, R and F at other cut-offs than ten are left to their own table."""
    kept = [name for name in measures if not re.match(r"[PRF]\([^)]*\)@(?!10$)", name)]
    return sorted(kept, key=lambda name: (not name.startswith("nDCG(rel=layout"), not name.startswith("nDCG")))


def _estimate(present: pd.DataFrame, method: str) -> Cell:
    if method not in present.index:
        return None
    return Estimate(*(_number(present, method, key) for key in ("value", "low", "high")))


def _pr_figure(curve: pd.DataFrame) -> Figure:
    columns = (
        Column("recall", "recall", "measure"),
        Column("precision", "precision", "measure", bar=True),
        Column("query_free", "query-free", "measure"),
        Column("floor", "random", "measure"),
    )
    thin = curve.iloc[:: max(1, (len(curve) - 1) // 10)]
    figure = Figure(
        "pr-curve",
        "Precision against recall",
        pr_curve(curve, "pr"),
        "Relevant is what shares any category; mean over queries of interpolated precision, whole gallery, exhaustive "
        "search. The shaded area is what the embedding adds to chance; the dashed line is reached blind to the query.",
    )
    return with_data(
        figure, columns, thin[["recall", "precision", "query_free", "floor"]].itertuples(index=False, name=None)
    )


def _cutoff_figure(cutoffs: pd.DataFrame) -> Figure:
    caption = (
        "Mean over random samples of the queries; the band holds 95 % of the samples. Grey lines are floors. The "
        "searches coincide where cluster-first search loses little."
    )
    return Figure("cutoff-lines", "Precision, recall and F at N", cutoff_lines(cutoffs, "cutoffs"), caption)


def _cost(search: pd.DataFrame) -> Table:
    columns = (
        Column("method", "method"),
        Column("share_scanned", "gallery scanned", "percent"),
        Column("probes", "clusters visited", "number"),
        Column(
            "agreement_10",
            "first 10 kept",
            "percent",
            "Share of the exhaustive first ten that the method also returns.",
        ),
        Column("agreement_n", "first N kept", "percent", "The same over all N results."),
    )
    names = [column.name for column in columns]
    rows = tuple(search[names].itertuples(index=False, name=None))
    caption = "Cluster-first search looks at part of the gallery; what it gives up against exhaustive search."
    return Table("cost", "What the search costs", columns, rows, caption=caption)


def _cutoff_table(evaluation: Evaluation) -> Table:
    frame = evaluation.cutoffs
    parts = [part for part in ("P", "R", "R capped", "F") if (frame["measure"] == part).any()]
    rows: list[tuple[Cell, ...]] = []
    kinds: list[str] = []
    for n in sorted(set(frame["n"])):
        at = frame[frame["n"] == n]
        for method in dict.fromkeys(at["method"]):
            own = at[at["method"] == method].set_index("measure")
            cells = [Estimate(*(_number(own, part, key) for key in ("mean", "low", "high", "sd"))) for part in parts]
            rows.append((method, n, *cells))
            kinds.append("lead" if method == evaluation.lead else "")
        lead = at[at["method"] == at["method"].iloc[0]].set_index("measure")
        for title, key in (("random floor", "floor_random"), ("query-free floor", "floor_query_free")):
            rows.append((title, n, *(_number(lead, part, key) for part in parts)))
            kinds.append("floor")
    columns = (
        Column("method", "method"),
        Column("n", "N", "count"),
        *(Column(slug(part), _at_n(part), "measure", _CUTOFF_NOTES.get(part, "")) for part in parts),
    )
    notes = ("Mean ± standard deviation over the query samples; the 95 % interval of the samples is under it.",)
    return Table("cutoff-table", "P, R and F at N", columns, tuple(rows), tuple(kinds), notes=notes)


_CUTOFF_NOTES = {"R capped": "Relevant among N over min(N, relevant); P@N where N or more are relevant."}


def _at_n(part: str) -> str:
    letter, _, form = part.partition(" ")
    return f"{letter}@N {form}".rstrip()


def _number(frame: pd.DataFrame, row: str, column: str) -> float:
    return float(frame.at[row, column])  # type: ignore[arg-type]
