"""The command line: one thin file per command. Only click is imported before a command's body runs."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from aeret import __version__

# Command name to module; each module's `command` is imported when it is asked for.
COMMANDS = {
    "run": "aeret.cli.run",
    "stage": "aeret.cli.stage",
    "data": "aeret.cli.data",
    "models": "aeret.cli.models",
    "runs": "aeret.cli.runs",
}


class LazyGroup(click.Group):
    """A group whose commands are imported on use, with a did-you-mean for unknown names."""

    def __init__(self, *args: Any, lazy: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order they are declared."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and return one command."""
        if name not in self._lazy:
            return None
        command: click.Command = importlib.import_module(self._lazy[name]).command
        return command


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

    # TensorFlow greets with a page of information at every start; its errors still come through.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted. The same command resumes.", err=True)
        sys.exit(130)
    except KeyboardInterrupt:
        click.echo("Interrupted. The same command resumes.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except AeretError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)
