"""``aeret stage-ahead``: what ``aeret run`` starts while a stage works, to be the next one's process."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any

import click

# What stages with a network load.
_LIBRARIES = ("aeret.models", "pandas", "scipy.stats", "faiss", "numba")
_ROOM = 4 * 2**30
"""Bytes of memory that must be free: what is loaded here takes from the stage that works meanwhile."""


@click.command(hidden=True)
@click.argument("stage", default="")
@click.pass_context
def command(ctx: click.Context, stage: str) -> Any:
    """Load libraries, then run the command whose arguments come on standard input.

    \b
    Example:
      echo '["runs", "list"]' | aeret stage-ahead

    STAGE decides nothing; it tells what this process will be.
    """
    from aeret.pipeline.stage_process import die_with_parent, quietly_interrupted, wait_for_arguments

    die_with_parent()
    with quietly_interrupted():
        # Whatever is wrong with a library: the stage that needs it fails by it, and says so.
        with contextlib.suppress(Exception):
            _load()
        arguments = wait_for_arguments()
    if arguments is None:
        return 0
    return ctx.find_root().command.main(arguments, prog_name="aeret", standalone_mode=False)


def _load() -> None:
    from aeret.evaluation.memory import available_bytes

    available = available_bytes()
    if available is not None and available < _ROOM:
        return
    for name in _LIBRARIES:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
