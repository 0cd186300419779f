"""``aeret stage-ahead``: what ``aeret run`` starts while a stage works, to be the next one's process."""

from __future__ import annotations

import importlib

import click

# What most stages load. Where one of them is missing, the stage that needs it says so.
_LIBRARIES = ("aeret.models", "pandas", "scipy.stats", "faiss", "numba")


@click.command(hidden=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Load libraries, then run the command whose arguments come on standard input.

    \b
    Example:
      echo '["runs", "list"]' | aeret stage-ahead
    """
    from aeret.pipeline.stage_process import die_with_parent, quietly_interrupted, wait_for_arguments

    die_with_parent()
    with quietly_interrupted():
        for name in _LIBRARIES:
            try:
                importlib.import_module(name)
            except ImportError:
                continue
        arguments = wait_for_arguments()
    if arguments is not None:
        ctx.find_root().command.main(arguments, prog_name="aeret", standalone_mode=False)
