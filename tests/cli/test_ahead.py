"""The process that loads libraries for the next stage: it fails of no library, and ends as the command does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aeret.cli import ahead, cli
from aeret.evaluation import memory
from aeret.pipeline import stage_process


def loaded(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["stage-ahead", *arguments], standalone_mode=False)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments that come; `--version` unless a test says otherwise."""
    arguments = ["--version"]
    monkeypatch.setattr(stage_process, "wait_for_arguments", lambda: arguments)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    monkeypatch.setattr(ahead, "_LIBRARIES", ())
    return arguments


@pytest.mark.parametrize("error", ["ImportError", "RuntimeError", "TypeError", "ValueError", "AttributeError"])
def test_a_broken_library_is_for_the_stage_to_name(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    (tmp_path / "aeret_broken.py").write_text(f"raise {error}('numpy.dtype size changed')\n")
    (tmp_path / "aeret_whole.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ahead, "_LIBRARIES", ("aeret_broken", "aeret_whole"))
    result = loaded("train-cnn")
    assert result.exception is None
    assert "version" in result.output
    assert "aeret_whole" in sys.modules
    assert "aeret_broken" not in sys.modules
    del sys.modules["aeret_whole"]


@pytest.mark.parametrize(("available", "loads"), [(4 * 2**30 - 1, False), (4 * 2**30, True), (None, True)])
def test_where_memory_is_scarce_nothing_is_loaded(
    told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, available: int | None, loads: bool
) -> None:
    (tmp_path / "aeret_large.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(ahead, "_LIBRARIES", ("aeret_large",))
    monkeypatch.setattr(memory, "available_bytes", lambda: available)
    assert "version" in loaded().output
    assert (sys.modules.pop("aeret_large", None) is not None) == loads


def test_it_exits_with_the_code_of_the_command(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    command = cli.get_command(None, "run")  # type: ignore[arg-type]
    monkeypatch.setattr(command, "invoke", lambda ctx: ctx.exit(3))
    told[:] = ["run"]
    assert loaded().return_value == 3


def test_a_run_that_has_ended_is_no_error(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_process, "wait_for_arguments", lambda: None)
    result = loaded()
    assert (result.output, result.return_value) == ("", 0)
