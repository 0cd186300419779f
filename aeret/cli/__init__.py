"""The command line: one thin file per command. Only click is imported before a command's body runs."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import click

from aeret import __version__
from aeret.cli.groups import LazyGroup

# Command name to module; each module's `command` is imported when it is asked for.
COMMANDS = {
    "run": "aeret.cli.run",
    "stage": "aeret.cli.stage",
    "stage-ahead": "aeret.cli.ahead",
    "data": "aeret.cli.data",
    "models": "aeret.cli.models",
    "runs": "aeret.cli.runs",
    "clusters": "aeret.cli.clusters",
    "features": "aeret.cli.features",
    "metrics": "aeret.cli.metrics",
    "index": "aeret.cli.index",
    "search": "aeret.cli.search",
    "similar": "aeret.cli.similar",
    "feedback": "aeret.cli.feedback",
}


@click.group(cls=LazyGroup, lazy=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aeret")
def cli() -> None:
    """Make a COCO-format photo collection searchable, and prove how well it searches.

    \b
    Start with:
      aeret run pipelines/demo.yaml
      aeret run pipelines/coco.yaml --set data.manifest=my.yaml
    """


def main() -> None:
    """Run the command line; errors of aeret's own end with their message and exit code, never a traceback."""
    from aeret.errors import AeretError
    from aeret.pipeline.backend import settle_backend

    # TensorFlow greets with a page of information at every start; its errors still come through.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    settle_backend()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = cli.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _end_interrupted()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AeretError as error:
        _end_with(error)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        from aeret.artifacts import system_error

        _end_with(system_error("aeret could not finish", error))
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(number: int, frame: Any) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would interrupt the tidying up
    # The argument tells apart what reached this process alone from Ctrl-C, which reaches its children too.
    raise KeyboardInterrupt(signal.SIGTERM)


def _end_interrupted() -> NoReturn:
    from aeret.pipeline.stage_process import PARENT

    if PARENT not in os.environ:  # else the run that started this stage says it
        click.echo("Interrupted. The same command resumes.", err=True)
    sys.exit(130)


def _end_with(error: Any) -> NoReturn:
    click.echo(f"Error: {error}", err=True)
    sys.exit(error.exit_code)
