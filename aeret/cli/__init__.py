"""Define the command line: one thin file per command, imported on use."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import click

from aeret import __version__
from aeret.cli.groups import LazyGroup

# Command name to module with a `command`.
COMMANDS = {
    "run": "aeret.cli.run",
    "stage": "aeret.cli.stage",
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
    """Run the command line and turn errors into messages and exit codes."""
    from aeret.errors import AeretError
    from aeret.pipeline.backend import settle_backend

    # TensorFlow prints a page of information at every start; errors still come through.
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
    # The argument tells SIGTERM, which reached this process alone, from Ctrl-C, which reached its children too.
    raise KeyboardInterrupt(signal.SIGTERM)


def _end_interrupted() -> NoReturn:
    from aeret.pipeline.stage_process import PARENT

    if PARENT not in os.environ:  # otherwise the run that started this stage says so
        click.echo("Interrupted. The same command resumes.", err=True)
    sys.exit(130)


def _end_with(error: Any) -> NoReturn:
    click.echo(f"Error: {error}", err=True)
    sys.exit(error.exit_code)
