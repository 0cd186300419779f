"""Build the sections of search quality and of single categories."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd

from aeret.evaluation.result import Evaluation
from aeret.reporting.plots.cutoffs import cutoff_lines
from aeret.reporting.plots.pr_curve import pr_curve
from aeret.reporting.report import Block, Cell, Column, Estimate, Figure, Section, Table, slug

_FEW = 8
_CUTOFF_NOTES = {"R capped": "Relevant among N over min(N, relevant); P@N where N or more are relevant."}


def search_section(evaluation: Evaluation) -> Section:
    """Return the measures by method, precision against recall, P, R and F at each N, and what the search costs."""
    return Section("search", "Search quality", tuple(_blocks(evaluation)))


def _blocks(evaluation: Evaluation) -> Iterator[Block]:
    yield _by_method(evaluation)
    if not evaluation.pr_curve.empty:
        yield _pr_figure(evaluation.pr_curve)
    if not evaluation.cutoffs.empty:
        yield _cutoff_figure(evaluation.cutoffs)
        yield _cutoff_table(evaluation)
    if not evaluation.search.empty:
        yield _cost(evaluation.search)


def category_section(evaluation: Evaluation) -> Section:
    """Return the measures of each category; of many, first those furthest above and nearest to chance."""
    frame = evaluation.per_class.sort_values("AP", ascending=False, kind="stable")
    many = len(frame) > 3 * _FEW
    title, caption = "Measures by category", "Queries that hold the category; relevant is what holds it too."
    blocks: list[Block] = []
    if many:
        gained = frame.assign(gain=frame["AP"] - frame["floor_ap"]).sort_values("gain", ascending=False, kind="stable")
        most = _categories("most", "Furthest above chance", gained.head(_FEW), caption + " By AP above its floor.")
        blocks += [most, _categories("least", "Nearest to chance, or below", gained.tail(_FEW), "")]
        title = f"All {len(frame)} categories, best average precision first"
    blocks.append(_categories("all", title, frame, caption, folded=many))
    return Section("categories", "Category by category", blocks)


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
    return Table(f"categories-{name}", title, columns, frame, caption=caption, folded=folded)


def _by_method(evaluation: Evaluation) -> Table:
    frame = evaluation.measures
    methods = sorted(dict.fromkeys(frame["method"]), key=lambda method: method != "exhaustive")
    rows: list[tuple[Cell, ...]] = []
    for measure in _in_reading_order(list(dict.fromkeys(frame["measure"]))):
        present = frame[frame["measure"] == measure].set_index("method")
        cells = [_estimate(present, method, "value", "low", "high") for method in methods]
        records = present.to_dict("index")
        base = records.get(evaluation.lead) or records[present.index[0]]
        random, free = float(base["floor_random"]), float(base["floor_query_free"])
        skill = (float(base["value"]) - free) / (1 - free) if free < 1 else None
        rows.append((measure, *cells, random, free, skill, int(base["queries"]), int(base["skipped"])))
    columns = (
        Column("measure", "measure"),
        *(
            Column(slug(name), f"{name} (lead)" if name == evaluation.lead else name, "measure", bar=True)
            for name in methods
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
    return Table.of_rows("measures", "Measures by method", columns, rows, caption=caption, notes=notes)


def _in_reading_order(measures: list[str]) -> list[str]:
    """Put layout and label nDCG first; leave P, R and F at cut-offs other than ten to their own table."""
    kept = [name for name in measures if not re.match(r"[PRF]\([^)]*\)@(?!10$)", name)]
    return sorted(kept, key=lambda name: (not name.startswith("nDCG(rel=layout"), not name.startswith("nDCG")))


def _pr_figure(curve: pd.DataFrame) -> Figure:
    columns = (
        Column("recall", "recall", "measure"),
        Column("precision", "precision", "measure", bar=True),
        Column("query_free", "query-free", "measure"),
        Column("floor", "random", "measure"),
    )
    caption = (
        "Relevant is what shares any category; mean over queries of interpolated precision, whole gallery, exhaustive "
        "search. The shaded area is what the embedding adds to chance; the dashed line is reached blind to the query."
    )
    figure = Figure("pr-curve", "Precision against recall", pr_curve(curve, "pr"), caption)
    return figure.with_numbers(columns, curve.iloc[:: max(1, (len(curve) - 1) // 10)])


def _cutoff_figure(cutoffs: pd.DataFrame) -> Figure:
    caption = (
        "Mean over random samples of the queries; the band holds 95 % of the samples. Grey lines are floors. The "
        "searches coincide where cluster-first search loses little."
    )
    return Figure("cutoff-lines", "Precision, recall and F at N", cutoff_lines(cutoffs, "cutoffs"), caption)


def _cutoff_table(evaluation: Evaluation) -> Table:
    frame = evaluation.cutoffs
    parts = [part for part in ("P", "R", "R capped", "F") if (frame["measure"] == part).any()]
    rows: list[tuple[Cell, ...]] = []
    kinds: list[str] = []
    for n, at in frame.groupby("n"):
        for method, group in at.groupby("method", sort=False):
            own = group.set_index("measure")
            rows.append((str(method), n, *(_estimate(own, part, "mean", "low", "high", "sd") for part in parts)))  # type: ignore[arg-type]
            kinds.append("lead" if method == evaluation.lead else "")
        first = at[at["method"] == at["method"].iloc[0]].set_index("measure")
        for title, key in (("random floor", "floor_random"), ("query-free floor", "floor_query_free")):
            rows.append((title, n, *first.loc[parts, key]))  # type: ignore[arg-type]
            kinds.append("floor")
    columns = (
        Column("method", "method"),
        Column("n", "N", "count"),
        *(Column(slug(part), _at_n(part), "measure", _CUTOFF_NOTES.get(part, "")) for part in parts),
    )
    notes = ("Mean ± standard deviation over the query samples; the 95 % interval of the samples is under it.",)
    return Table.of_rows("cutoff-table", "P, R and F at N", columns, rows, row_kinds=kinds, notes=notes)


def _at_n(part: str) -> str:
    letter, _, form = part.partition(" ")
    return f"{letter}@N {form}".rstrip()


def _cost(search: pd.DataFrame) -> Table:
    kept = "Share of the exhaustive first ten that the method also returns."
    columns = (
        Column("method", "method"),
        Column("share_scanned", "gallery scanned", "percent"),
        Column("probes", "clusters visited", "number"),
        Column("agreement_10", "first 10 kept", "percent", kept),
        Column("agreement_n", "first N kept", "percent", "The same over all N results."),
    )
    caption = "Cluster-first search looks at part of the gallery; what it gives up against exhaustive search."
    return Table("cost", "What the search costs", columns, search, caption=caption)


def _estimate(frame: pd.DataFrame, row: str, *columns: str) -> Cell:
    return Estimate(*map(float, frame.loc[row, list(columns)])) if row in frame.index else None
