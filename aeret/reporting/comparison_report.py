"""Build the report of arms against a baseline, query by query, over the seeds of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aeret.errors import UsageError
from aeret.evaluation.compare import compare
from aeret.evaluation.result import Evaluation
from aeret.reporting.comparison_text import comparison_text, verdict
from aeret.reporting.report import (
    Block,
    Cell,
    Column,
    Estimate,
    Figure,
    Notice,
    Report,
    Section,
    Table,
    estimates,
    slug,
)
from aeret.reporting.sections.changes import ComparedRuns, Comparison, class_section, flip_section, settings_block
from aeret.reporting.sections.headlines import ANY, LABELS, LAYOUT, MEAN_AP
from aeret.reporting.sections.provenance import convention_table
from aeret.reporting.sections.trade_off import trade_off_figure
from aeret.reporting.write import write

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
_CONVENTIONS = {
    "unit": "The query: its value is the mean over the seeds of an arm; arms are compared on the same queries.",
    "difference": "Arm minus baseline, with its 95 % bootstrap interval over queries.",
    "p": "Two-sided paired randomisation test over queries; Holm-adjusted within the table it stands in. It speaks of "
    "these trained models; the spread over seeds is beside it. A dash: the other arm stands at chance, a constant, "
    "which is not tested and is no part of Holm's family; read the interval.",
    "Wilcoxon": "p of the signed-rank test over queries, zeros by Pratt, not corrected: a second opinion, of whether "
    "differences lie symmetrically about 0.",
    "better, worse": "Share of queries that the arm answers better, and worse; the rest are equal.",
}
_INTERVALS = {
    "percentile": "Bootstrap over queries, percentiles of the mean difference.",
    "bca": "Bootstrap over queries, percentiles at levels corrected for bias and skew (BCa, Efron 1987).",
}
_DIFFERENCES = (
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


def compare_and_write(
    arms: Mapping[str, Sequence[Path]],
    baseline: str,
    target: Path,
    interval: str = "percentile",
    runs: ComparedRuns | None = None,
) -> str:
    """Compare arms, write the report into a folder, and return the key table as text for a terminal.

    Args:
        arms: name to the folders of its evaluations (artifacts of ``cluster-eval``), one per seed.
        baseline: the arm the others are tested against.
        target: folder of ``report.html``, ``.md``, ``.csv`` and ``.json``.
        interval: interval of the differences, ``percentile`` or ``bca``.
        runs: settings and photos of the runs.

    Raises:
        UsageError: fewer than two arms, an unknown baseline or interval, or arms evaluated on different photos.
        DataError: a folder holds no evaluation.
    """
    loaded = {name: [Evaluation.open(folder) for folder in folders] for name, folders in arms.items()}
    comparison = Comparison(loaded, baseline, interval, runs or ComparedRuns())
    key = key_differences(comparison)
    write(_report(comparison, key), target)
    return comparison_text(comparison, key)


def build_comparison_report(
    arms: Mapping[str, Sequence[Evaluation]],
    baseline: str,
    interval: str = "percentile",
    runs: ComparedRuns | None = None,
) -> Report:
    """Build the report of arms, one evaluation per seed each; arguments and errors as in :func:`compare_and_write`."""
    comparison = Comparison(arms, baseline, interval, runs or ComparedRuns())
    return _report(comparison, key_differences(comparison))


def key_differences(comparison: Comparison) -> dict[str, pd.DataFrame]:
    """Compare each arm with the baseline on the key measures.

    Raises:
        UsageError: fewer than two arms, or an unknown baseline.
    """
    arms, baseline = comparison.arms, comparison.baseline
    if len(arms) < 2:
        raise UsageError(f"A comparison needs two arms or more; got {', '.join(arms) or 'none'}.")
    if baseline not in arms:
        raise UsageError(f"The baseline {baseline!r} is none of the arms: {', '.join(arms)}.")
    return {
        name: compare(arms[baseline], arms[name], _key_measures(comparison, name), interval=comparison.interval)
        for name in comparison.candidates
    }


def _key_measures(comparison: Comparison, name: str) -> list[str]:
    """Return the key measures both arms have; for layout hits one is enough, the other then stands at chance."""
    have = [
        set.intersection(*(set(map(str, each.per_query)) for each in comparison.arms[arm]))
        for arm in (comparison.baseline, name)
    ]
    return [m for m in KEY if all(m in part for part in have) or (m.startswith("layout") and any(m in h for h in have))]


def _report(comparison: Comparison, key: Mapping[str, pd.DataFrame]) -> Report:
    arms, baseline, names = comparison.arms, comparison.baseline, comparison.candidates
    first = arms[baseline][0]
    sections = [_arms_section(comparison)]
    for name in names:
        found = (
            _against(comparison, name, key[name]),
            class_section(comparison, name),
            flip_section(comparison, name),
        )
        sections += [section for section in found if section is not None]
    conventions = _CONVENTIONS | {"interval": _INTERVALS[comparison.interval]} | first.conventions
    sections.append(Section("conventions", "Conventions", (convention_table(conventions),)))
    seeds = ", ".join(f"{name} × {len(each)}" for name, each in arms.items())
    queries = f"{len(first.per_query):,}".replace(",", "\u202f")
    return Report(
        f"{' and '.join(names)} against {baseline}",
        f"{queries} queries · {seeds} · baseline {baseline}",
        sections,
        notices=[Notice(verdict(name, baseline, key[name], LEVEL), "note") for name in names],
    )


def _arms_section(comparison: Comparison) -> Section:
    blocks: list[Block] = [_arms_table(comparison.arms)]
    figure = _figure(comparison.arms)
    if figure is not None:
        blocks.append(figure)
    if comparison.runs.settings:
        blocks.append(settings_block(comparison.runs.settings))
    return Section("arms", "The arms", blocks)


def _against(comparison: Comparison, name: str, key: pd.DataFrame) -> Section:
    arms, baseline, mark = comparison.arms, comparison.baseline, slug(name)
    caption = f"{name} minus {baseline}, on the same queries. Bold: the difference stands at {LEVEL:g} after Holm."
    blocks = [_differences(f"key-{mark}", "The measures that matter", key, caption)]
    shared = set.intersection(*(set(map(str, each.per_query)) for arm in arms.values() for each in arm))
    for subset in sorted(column.removeprefix("subset:") for column in shared if column.startswith("subset:")):
        layout = [measure for measure in _key_measures(comparison, name) if "layout" in measure]
        inside = f"nDCG(rel=layout,gallery={subset})@10"
        layout += [inside] if inside in shared else []
        if layout:
            frame = compare(arms[baseline], arms[name], layout, subset=subset, interval=comparison.interval)
            title = f"Layout, on the queries of {subset} alone"
            note = "A family of its own: adjusted within this table."
            blocks.append(_differences(f"subset-{mark}-{slug(subset)}", title, frame, note))
    everything = compare(arms[baseline], arms[name], interval=comparison.interval)
    blocks.append(_differences(f"all-{mark}", "All measures, adjusted together", everything, "", folded=True))
    return Section(f"against-{mark}", f"{name} against {baseline}", blocks)


def _differences(name: str, title: str, frame: pd.DataFrame, caption: str, folded: bool = False) -> Table:
    shown = frame.rename(columns={"p_better": "better", "p_worse": "worse"}).assign(
        difference=estimates(frame, "difference", "low", "high"),
        baseline=estimates(frame, "baseline", sd="sd_baseline"),
        candidate=estimates(frame, "candidate", sd="sd_candidate"),
    )
    kinds = ["lead" if p < LEVEL else "" for p in frame["p_holm"]]
    notes = [f"{measure}: {note}." for measure, note in zip(frame["measure"], frame["note"], strict=True) if note]
    return Table(name, title, _DIFFERENCES, shown, kinds, caption, notes, folded)


def _arms_table(arms: Mapping[str, Sequence[Evaluation]]) -> Table:
    # The exhaustive search has its rows in the tables of differences; its long names would push others out of sight.
    shown = [measure for measure in (*KEY, "P(rel=any,average=class)@10") if "search=" not in measure]
    names = [measure for measure in shown if any(_over_seeds(each, measure) for each in arms.values())]
    columns = (
        Column("arm", "arm"),
        Column("seeds", "seeds", "count"),
        *(Column(f"m{place}", name, "measure", bar=True) for place, name in enumerate(names)),
        Column("pairwise", "pairwise F(rel=any)", "measure", "Of the clusters; not a mean over queries.", bar=True),
    )
    rows: list[tuple[Cell, ...]] = []
    for arm, each in arms.items():
        found = [_over_seeds(each, name) for name in names]
        found.append([float(one.pairs["f"].iloc[0]) for one in each if not one.pairs.empty])
        rows.append((arm, len(each), *(Estimate(float(np.mean(v)), sd=_sd(v)) if v else None for v in found)))
    first = next(iter(arms.values()))[0]
    for title, column, partition in (
        ("random floor", "floor_random", "random partition"),
        ("query-free floor", "floor_query_free", "single cluster"),
    ):
        pairs = first.pairs.loc[first.pairs["name"] == partition, "f"]
        cells = (_floor(first, name, column) for name in names)
        rows.append((title, None, *cells, None if pairs.empty else float(pairs.iloc[0])))
    kinds = [*[""] * len(arms), "floor", "floor"]
    caption = "Mean over seeds, ± sd over seeds, of each arm's lead search."
    return Table.of_rows("arms-table", "Means", columns, rows, row_kinds=kinds, caption=caption)


def _over_seeds(arm: Sequence[Evaluation], measure: str) -> list[float]:
    """Return a measure of each seed; empty if a seed lacks it."""
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


def _figure(arms: Mapping[str, Sequence[Evaluation]]) -> Figure | None:
    rows = [
        (arm, each.facts.get("seed", place), float(each.per_query[LABELS].mean()), float(each.per_query[LAYOUT].mean()))
        for arm, group in arms.items()
        for place, each in enumerate(group)
        if LABELS in each.per_query and LAYOUT in each.per_query
    ]
    return trade_off_figure("layout-against-labels", "arms-plot", rows) if rows else None
