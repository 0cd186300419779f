"""Build the report of arms against a baseline, query by query."""

from __future__ import annotations

import pandas as pd

from aeret.errors import UsageError
from aeret.evaluation.compare import compare
from aeret.reporting.sections.arms import KEY, LEVEL, Arms, arms_figure, arms_table, difference_table
from aeret.reporting.sections.changes import Behind, class_blocks, flip_section, settings_block
from aeret.reporting.values import Block, Column, Notice, Report, Section, Table, slug


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
    key = {name: compare_keys(arms, baseline, name, interval) for name in candidates}
    blocks: list[Block] = [arms_table(arms)]
    figure = arms_figure(arms)
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
    verdicts = tuple(Notice(verdict(name, baseline, key[name]), "note") for name in candidates)
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


def compare_keys(arms: Arms, baseline: str, name: str, interval: str) -> pd.DataFrame:
    """Return the tests of the key measures, one family of Holm\'s correction."""
    return compare(arms[baseline], arms[name], _key_measures(arms, baseline, name), interval=interval)


def _against(arms: Arms, baseline: str, name: str, key: pd.DataFrame, interval: str) -> Section:
    mark = slug(name)
    caption = f"{name} minus {baseline}, on the same queries. Bold: the difference stands at {LEVEL:g} after Holm."
    blocks: list[Block] = [difference_table(f"key-{mark}", "The measures that matter", key, caption)]
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
            blocks.append(difference_table(f"subset-{mark}-{slug(subset)}", title, frame, note))
    everything = compare(arms[baseline], arms[name], interval=interval)
    title = "All measures, adjusted together"
    blocks.append(difference_table(f"all-{mark}", title, everything, "", folded=True))
    return Section(f"against-{mark}", f"{name} against {baseline}", tuple(blocks))


def _shared_columns(arms: Arms) -> set[str]:
    """Return the per-query columns that every evaluation of every arm has."""
    return set.intersection(*(set(map(str, each.per_query)) for arm in arms.values() for each in arm))


def verdict(name: str, baseline: str, frame: pd.DataFrame) -> str:
    """Return one sentence: in what the arm is better, worse, or not told apart."""
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
