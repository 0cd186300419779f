"""Write a report in all its formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aeret.artifacts import write_text
from aeret.reporting.csv import render_csv
from aeret.reporting.html import render_html
from aeret.reporting.json import render_json
from aeret.reporting.markdown import render_markdown
from aeret.reporting.report import Report

WRITERS: dict[str, Callable[[Report], str]] = {
    "html": render_html,
    "md": render_markdown,
    "csv": render_csv,
    "json": render_json,
}
"""File name ending to the function that renders it."""


def write(report: Report, folder: Path, name: str = "report") -> dict[str, Path]:
    """Write a report as HTML, Markdown, CSV and JSON, each file atomically.

    Returns:
        File name ending to path.

    Raises:
        AeretError: a file cannot be written.
    """
    paths = {ending: folder / f"{name}.{ending}" for ending in WRITERS}
    for ending, path in paths.items():
        write_text(path, WRITERS[ending](report))
    return paths
