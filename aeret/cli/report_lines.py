"""The few lines a run ends with on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aeret.pipeline.history import Run


def headline_lines(run: Run, folder: Path) -> Iterator[str]:
    """Yield the numbers that matter, each beside its floor, and where the report is."""
    numbers = run.headline.get("headline", [])
    yield ""
    yield f"Run {run.id}"
    for number in numbers:
        floor = f"   (floor {number['floor']:.3f}: {number['floor_name']})" if number.get("floor") is not None else ""
        yield f"  {number['name']:<44} {number['value']:>8.3f}{floor}"
    report = folder / "cluster-eval" / "report.html"
    if report.is_file():
        yield f"  Report: {report.resolve()}"
