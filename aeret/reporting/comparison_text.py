"""Write a comparison of arms as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from aeret.evaluation.compare import class_changes
from aeret.reporting.sections.changes import Comparison, setting_differences

_HEAD = ("measure", "baseline", "this arm", "difference", "95 % interval", "p (Holm)", "Wilcoxon")


def comparison_text(comparison: Comparison, key: Mapping[str, pd.DataFrame]) -> str:
    """Return the settings that differ and, for each arm, its table of key differences as text."""
    settings = comparison.runs.settings
    lines = [f"Settings that differ ({', '.join(settings)}):"] if settings else []
    lines += [f"  {name}: {' | '.join(values)}" for name, *values in setting_differences(settings)]
    for name, frame in key.items():
        lines.append(f"{name} against {comparison.baseline}, {int(frame['queries'].max())} queries")
        lines += _rows(frame)
        lines.append(f"  {verdict(name, comparison.baseline, frame)}")
        lines += _class_lines(comparison, name)
    return "\n".join(lines)


def verdict(name: str, baseline: str, frame: pd.DataFrame, level: float = 0.05) -> str:
    """Return in one sentence which measures of an arm differ from the baseline's."""
    stands, untested = frame["p_holm"] < level, frame["p_holm"].isna()
    groups = {
        "better in": stands & (frame["difference"] > 0),
        "worse in": stands & (frame["difference"] < 0),
        "not told apart in": ~stands & ~untested,
        "beside chance, untested, in": untested,
    }
    parts = [f"{words} {', '.join(frame.loc[chosen, 'measure'])}" for words, chosen in groups.items() if chosen.any()]
    return f"{name} against {baseline}: {'; '.join(parts)} (Holm-adjusted p below {level:g})."


def _rows(frame: pd.DataFrame) -> Iterator[str]:
    yield "  {:<40} {:>9} {:>9} {:>11}  {:<18} {:>9} {:>9}".format(*_HEAD)
    records = frame.to_dict("records")
    for row in records:
        p, second = ("-" if np.isnan(row[part]) else f"{row[part]:.4f}" for part in ("p_holm", "p_wilcoxon"))
        between = f"{row['low']:+.3f} to {row['high']:+.3f}"
        yield (
            f"  {row['measure']:<40} {row['baseline']:>9.3f} {row['candidate']:>9.3f} {row['difference']:>+11.3f}"
            f"  {between:<18} {p:>9} {second:>9}"
        )
    yield from (f"  {row['measure']}: {row['note']}." for row in records if row["note"])


def _class_lines(comparison: Comparison, name: str) -> Iterator[str]:
    frame = class_changes(comparison.arms[comparison.baseline], comparison.arms[name])
    change = frame["P@10 difference"]
    for word, rows in (("gained", frame[change > 0].iloc[:5]), ("lost", frame[change < 0].iloc[::-1].iloc[:5])):
        if not rows.empty:
            each = zip(rows["category"], rows["P@10 difference"], rows["queries"], strict=True)
            said = ", ".join(f"{category} {gain:+.3f} ({queries})" for category, gain, queries in each)
            yield f"  categories that {word} most, P@10 (queries): {said}"
