import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from aeret.cli import cli


def commands() -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []

    def walk(path: tuple[str, ...], command: click.Command) -> None:
        found.append((path, command))
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                walk((*path, name), child)

    walk((), cli)
    return found


@pytest.mark.parametrize(
    ("path", "command"), commands(), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...], command: click.Command) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0, result.output
    assert "Example:" in result.output or path == ()
    assert f"aeret {' '.join(path)}".strip() in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stag"], "No such command 'stag'. Did you mean 'stage'?"),
        (["stage-ahea"], "No such command 'stage-ahea'. Did you mean 'stage'?"),
        (["stage", "train-cn"], "No such command 'train-cn'. Did you mean 'train-cnn'?"),
        (["data", "chek"], "No such command 'chek'. Did you mean 'check'?"),
        (["runs", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["models", "zzz"], "No such command 'zzz'. Known: list."),
    ],
)
def test_unknown_command_suggests(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("arguments", [["--help"], ["stage", "train-cnn", "--help"], ["runs", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom aeret.cli import cli\n"
        f"assert CliRunner().invoke(cli, {arguments!r}).exit_code == 0\n"
        "heavy = {'numpy', 'keras', 'tensorflow', 'matplotlib', 'pandas', 'faiss', 'numba'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_module_runs_and_errors_have_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aeret", "run", "absent.yaml"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: absent.yaml: no such file; give the path of a YAML file.\n"
