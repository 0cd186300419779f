"""Compare saved evaluations: write the report, and return its key table as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from aeret.evaluation.compare import class_changes
from aeret.evaluation.result import Evaluation
from aeret.reporting.comparison_report import build_comparison_report, compare_keys, verdict
from aeret.reporting.sections.arms import Arms
from aeret.reporting.sections.changes import Behind, setting_differences
from aeret.reporting.write import write


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


def _text(arms: Arms, baseline: str, interval: str, behind: Behind) -> str:
    lines = [f"Settings that differ ({', '.join(behind.settings)}):"] if behind.settings else []
    lines += [f"  {name}: {' | '.join(values)}" for name, *values in setting_differences(behind.settings)]
    for name in arms:
        if name == baseline:
            continue
        frame = compare_keys(arms, baseline, name, interval)
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
        lines.append(f"  {verdict(name, baseline, frame)}")
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
