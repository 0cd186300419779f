"""The few lines a run ends with on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from aeret.pipeline.history import Run


def headline_lines(run: Run, folder: Path) -> Iterator[str]:
    """Yield the numbers that matter, each beside its floor, and where the report is."""
    numbers = run.headline.get("headline", [])
    yield ""
    yield f"Run {run.id}"
    for number in numbers:
        yield _line("  ", number)
        if number.get("part"):
            yield _line("    ", number["part"])
    report = folder / "cluster-eval" / "report.html"
    if report.is_file():
        yield f"  Report: {report.resolve()}"


def frame_text(frame: Any) -> str:
    """Return a data frame as aligned text with three decimals."""
    return str(frame.to_string(index=False, float_format=lambda value: f"{value:.3f}", na_rep="-"))


def _line(indent: str, number: Mapping[str, Any]) -> str:
    floor = f"   (floor {number['floor']:.3f}: {number['floor_name']})" if number.get("floor") is not None else ""
    name = indent + number["name"]
    return f"{name:<56} {number['value']:>8.3f}{floor}"
