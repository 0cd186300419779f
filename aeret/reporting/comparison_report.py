"""The report of a comparison: arms against a baseline, query by query, over the seeds of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from aeret.errors import UsageError
from aeret.evaluation.compare import class_changes, compare
from aeret.evaluation.result import Evaluation
from aeret.reporting.plots.layout_against_labels import layout_against_labels
from aeret.reporting.sections.changes import Behind, class_blocks, flip_section, setting_differences, settings_block
from aeret.reporting.sections.headlines import ANY, LABELS, LAYOUT, MEAN_AP
from aeret.reporting.values import (
    Block,
    Cell,
    Column,
    Estimate,
    Figure,
    Notice,
    Report,
    Section,
    Table,
    slug,
    with_data,
)
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
Arms = Mapping[str, Sequence[Evaluation]]


def compare_and_write(
    arms: Mapping[str, Sequence[Path]],
    baseline: str,
    target: Path,
    interval: str = "percentile",
    behind: Behind | None = None,
) -> str:
    """Compare arms, write the report into a folder, and return the key table as text for a terminal.

    Args:
        arms: name to the folders of its evaluations (artifacts of ``cluster-eval``), one a seed.
        baseline: the arm the others are tested against.
        target: folder of ``report.html``, ``.md``, ``.csv`` and ``.json``.
        interval: of the differences, ``percentile`` or ``bca``.
        behind: settings and photos of the runs; what is absent is left out.

    Raises:
        UsageError: fewer than two arms, an unknown baseline or interval, or arms evaluated on different photos.
        DataError: a folder holds no evaluation.
    """
    loaded = {name: [Evaluation.open(folder) for folder in folders] for name, folders in arms.items()}
    behind = behind or Behind()
    report = build_comparison_report(loaded, baseline, interval, behind)
    write(report, target)
    return _text(loaded, baseline, interval, behind)


def build_comparison_report(
    arms: Arms, baseline: str, interval: str = "percentile", behind: Behind | None = None
) -> Report:
    """Build the report of arms, each with one evaluation a seed, against one of them.

    Args:
        arms: name to its evaluations.
        baseline: the arm the others are tested against.
        interval: of the differences, ``percentile`` or ``bca``.
        behind: settings and photos of the runs; what is absent is left out.

    Raises:
        UsageError: fewer than two arms, an unknown baseline or interval, or arms evaluated on different photos.
    """
    _check(arms, baseline)
    candidates = [name for name in arms if name != baseline]
    key = {name: _compared(arms, baseline, name, interval) for name in candidates}
    blocks: list[Block] = [_arms_table(arms)]
    figure = _figure(arms)
    if figure is not None:
        blocks.append(figure)
    behind = behind or Behind()
    if behind.settings:
        blocks.append(settings_block(behind.settings))
    sections = [Section("arms", "The arms", tuple(blocks))]
    for name in candidates:
        sections.append(_against(arms, baseline, name, key[name], interval))
        changed = class_blocks(arms[baseline], arms[name], slug(name))
        if changed:
            sections.append(Section(f"classes-{slug(name)}", f"Categories: {name}", tuple(changed)))
        flips = flip_section(arms, baseline, name, behind)
        if flips is not None:
            sections.append(flips)
    first = arms[baseline][0]
    conventions = {**_CONVENTIONS, "interval": _INTERVALS[interval], **first.conventions}
    rows = tuple(conventions.items())
    columns = (Column("name", "what"), Column("convention", "how it is defined"))
    table = Table("convention-list", "How every number is defined", columns, rows)
    sections.append(Section("conventions", "Conventions", (table,)))
    verdicts = tuple(Notice(_verdict(name, baseline, key[name]), "note") for name in candidates)
    seeds = ", ".join(f"{name} × {len(each)}" for name, each in arms.items())
    queries = f"{len(first.per_query):,}".replace(",", "\u202f")
    subtitle = f"{queries} queries · {seeds} · baseline {baseline}"
    return Report(f"{' and '.join(candidates)} against {baseline}", subtitle, (), tuple(sections), verdicts)


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


def _check(arms: Arms, baseline: str) -> None:
    if len(arms) < 2:
        raise UsageError(f"A comparison needs two arms or more; got {', '.join(arms) or 'none'}.")
    if baseline not in arms:
        raise UsageError(f"The baseline {baseline!r} is none of the arms: {', '.join(arms)}.")


def _key_measures(arms: Arms, *names: str) -> list[str]:
    """Return the key measures both arms have; hits by layout where one has them, the other then stands at chance."""
    have = [set.intersection(*(set(map(str, each.per_query)) for each in arms[name])) for name in names]
    return [m for m in KEY if all(m in part for part in have) or (m.startswith("layout") and any(m in h for h in have))]


def _compared(arms: Arms, baseline: str, name: str, interval: str) -> pd.DataFrame:
    return compare(arms[baseline], arms[name], _key_measures(arms, baseline, name), interval=interval)


def _against(arms: Arms, baseline: str, name: str, key: pd.DataFrame, interval: str) -> Section:
    mark = slug(name)
    caption = f"{name} minus {baseline}, on the same queries. Bold: the difference stands at {LEVEL:g} after Holm."
    blocks: list[Block] = [_differences(f"key-{mark}", "The measures that matter", key, caption)]
    for subset in sorted(
        {str(c).removeprefix("subset:") for c in _shared_columns(arms) if str(c).startswith("subset:")}
    ):
        layout = [m for m in _key_measures(arms, baseline, name) if "layout" in m]
        inside = f"nDCG(rel=layout,gallery={subset})@10"
        if inside in _shared_columns(arms):
            layout.append(inside)
        if layout:
            frame = compare(arms[baseline], arms[name], layout, subset=subset, interval=interval)
            title = f"Layout, on the queries of {subset} alone"
            note = "A family of its own: adjusted within this table."
            blocks.append(_differences(f"subset-{mark}-{slug(subset)}", title, frame, note))
    everything = compare(arms[baseline], arms[name], interval=interval)
    title = "All measures, adjusted together"
    blocks.append(_differences(f"all-{mark}", title, everything, "", folded=True))
    return Section(f"against-{mark}", f"{name} against {baseline}", tuple(blocks))


def _shared_columns(arms: Arms) -> set[str]:
    """Return the per-query columns that every evaluation of every arm has."""
    return set.intersection(*(set(map(str, each.per_query)) for arm in arms.values() for each in arm))


def _differences(name: str, title: str, frame: pd.DataFrame, caption: str, folded: bool = False) -> Table:
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


def _arms_table(arms: Arms) -> Table:
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


def _figure(arms: Arms) -> Figure | None:
    rows = [
        (arm, each.facts.get("seed", place), float(each.per_query[LABELS].mean()), float(each.per_query[LAYOUT].mean()))
        for arm, group in arms.items()
        for place, each in enumerate(group)
        if LABELS in each.per_query and LAYOUT in each.per_query
    ]
    if not rows:
        return None
    points = pd.DataFrame(rows, columns=pd.Index(["arm", "seed", "x", "y"]))
    caption = "One point per arm and seed, the ring is an arm's mean. Up is better layout, right is better labels."
    svg = layout_against_labels(points, "arms-plot", f"labels: {LABELS}", f"layout: {LAYOUT}")
    columns = (
        Column("arm", "arm"),
        Column("seed", "seed", "count"),
        Column("x", LABELS, "measure"),
        Column("y", LAYOUT, "measure"),
    )
    return with_data(Figure("layout-against-labels", "Layout against labels", svg, caption), columns, rows)


def _verdict(name: str, baseline: str, frame: pd.DataFrame) -> str:
    stands, untested = frame["p_holm"] < LEVEL, frame["p_holm"].isna()
    parts = []
    for word, chosen in (
        ("better in", frame[stands & (frame["difference"] > 0)]),
        ("worse in", frame[stands & (frame["difference"] < 0)]),
        ("not told apart in", frame[~stands & ~untested]),
        ("beside chance, untested, in", frame[untested]),
    ):
        if len(chosen):
            parts.append(f"{word} {', '.join(chosen['measure'])}")
    return f"{name} against {baseline}: {'; '.join(parts)} (Holm-adjusted p below {LEVEL:g})."


def _text(arms: Arms, baseline: str, interval: str, behind: Behind) -> str:
    lines = [f"Settings that differ ({', '.join(behind.settings)}):"] if behind.settings else []
    lines += [f"  {name}: {' | '.join(values)}" for name, *values in setting_differences(behind.settings)]
    for name in arms:
        if name == baseline:
            continue
        frame = _compared(arms, baseline, name, interval)
        lines.append(f"{name} against {baseline}, {int(frame['queries'].max())} queries")
        head = ("measure", "baseline", "this arm", "difference", "95 % interval", "p (Holm)", "Wilcoxon")
        lines.append("  {:<40} {:>9} {:>9} {:>11}  {:<18} {:>9} {:>9}".format(*head))
        for _, row in frame.iterrows():
            p, second = ("-" if np.isnan(row[part]) else f"{row[part]:.4f}" for part in ("p_holm", "p_wilcoxon"))
            between = f"{row['low']:+.3f} to {row['high']:+.3f}"
            lines.append(
                f"  {row['measure']:<40} {row['baseline']:>9.3f} {row['candidate']:>9.3f} {row['difference']:>+11.3f}"
                f"  {between:<18} {p:>9} {second:>9}"
            )
        lines += [f"  {row['measure']}: {row['note']}." for _, row in frame.iterrows() if row["note"]]
        lines.append(f"  {_verdict(name, baseline, frame)}")
        lines += _class_lines(arms[baseline], arms[name])
    return "\n".join(lines)


def _class_lines(baseline: Sequence[Evaluation], candidate: Sequence[Evaluation]) -> list[str]:
    frame = class_changes(baseline, candidate)
    change = frame["P@10 difference"]
    lines = []
    for word, rows in (("gained", frame[change > 0].iloc[:5]), ("lost", frame[change < 0].iloc[::-1].iloc[:5])):
        if not rows.empty:
            said = (f"{row['category']} {row['P@10 difference']:+.3f} ({row['queries']})" for _, row in rows.iterrows())
            lines.append(f"  categories that {word} most, P@10 (queries): {', '.join(said)}")
    return lines
