"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def set_option(example: str) -> Callable[[F], F]:
    """Return what adds ``--set``, with an example of it."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help=f"Override one setting, e.g. {example}. Repeatable.",
    )


def settings_options(function: F) -> F:
    """Add ``--config`` and ``--set``."""
    function = set_option("cnn.training.epochs=3")(function)
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A settings or pipeline file (YAML).",
    )(function)


def runs_option(function: F) -> F:
    """Add ``--runs``."""
    return click.option(
        "--runs",
        "root",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("runs"),
        envvar="AERET_RUNS",
        show_default=True,
        help="Folder of all runs and artifacts.",
    )(function)


def run_option(function: F) -> F:
    """Add ``--run``, which names a finished run."""
    return click.option(
        "--run", "name", default="latest", show_default=True, help="Run to use: an id, a unique prefix, or 'latest'."
    )(function)


def progress_of(quiet: bool) -> Any:
    """Return the progress to pass on: bars, or nothing."""
    from aeret.progress import silent, terminal

    return silent if quiet else terminal
