"""The next stage's process loads libraries beforehand, takes its arguments when its turn comes, and outlives nobody."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from aeret import __version__
from aeret.pipeline import stage_process
from aeret.pipeline.stage_process import StageProcesses, quietly_interrupted, wait_for_arguments


def test_the_second_process_was_waiting_and_does_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    with StageProcesses() as processes:
        first, nothing = processes.start("one", ["--version"])
        processes.load_ahead("two")
        second, line = processes.start("two", ["--version"])
        assert nothing == b""
        assert line == b'["--version"]\n'
        assert first.args != second.args
        for process, head in ((first, nothing), (second, line)):
            process.communicate(head)
            assert process.returncode == 0
    assert capfd.readouterr().out.split() == ["aeret,", "version", __version__] * 2


def test_exit_codes_and_messages_are_those_of_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    with StageProcesses() as processes:
        processes.load_ahead("no-such-stage")
        waited, line = processes.start("no-such-stage", ["stage", "no-such-stage"])
        waited.communicate(line)
    assert waited.returncode == 2
    assert "No such command 'no-such-stage'" in capfd.readouterr().err


def test_one_that_died_while_it_waited_is_not_missed() -> None:
    with StageProcesses() as processes:
        processes.load_ahead("two")
        assert processes._ahead is not None
        processes._ahead.kill()
        processes._ahead.wait()
        process, head = processes.start("two", ["--version"])
        process.communicate(head)
        assert (process.returncode, head) == (0, b"")


def test_one_that_waits_for_another_stage_is_ended_and_not_used() -> None:
    with StageProcesses() as processes:
        processes.load_ahead("two")
        waiting = processes._ahead
        assert waiting is not None
        assert waiting.args[-1] == "two"  # type: ignore[index]  # what `ps` shows
        process, head = processes.start("three", ["--version"])
        assert waiting.poll() is not None
        process.communicate(head)
        assert (process.returncode, head) == (0, b"")


def test_where_no_process_can_be_had_ahead_the_stage_starts_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    with StageProcesses() as processes:
        with monkeypatch.context() as patched:
            patched.setattr(stage_process, "_start", full)
            processes.load_ahead("two")
            with pytest.raises(OSError, match="unavailable"):
                processes.start("two", ["--version"])
        process, head = processes.start("two", ["--version"])
        process.communicate(head)
        assert (process.returncode, head) == (0, b"")


def test_signals_are_heeded_again_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ZeroDivisionError), quietly_interrupted():
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_the_one_that_waits_ends_with_the_run() -> None:
    with StageProcesses() as processes:
        processes.load_ahead("two")
        waiting = processes._ahead
        assert waiting is not None
        assert waiting.poll() is None
    assert waiting.poll() is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_the_one_that_waits_dies_with_a_run_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from aeret.pipeline.stage_process import StageProcesses\n"
        "processes = StageProcesses()\n"
        "processes.load_ahead('two')\n"
        "pathlib.Path(sys.argv[1]).write_text(str(processes._ahead.pid))\n"
        "time.sleep(600)\n"
    )
    note = tmp_path / "pid"
    run = subprocess.Popen([sys.executable, "-c", code, str(note)])
    deadline = time.monotonic() + 120
    while not (note.is_file() and note.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    waiting = int(note.read_text())
    run.send_signal(signal.SIGKILL)
    run.wait()
    while _lives(waiting):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_what_follows_the_arguments_is_left_to_the_stage() -> None:
    reading, writing = os.pipe()
    kept = os.dup(0)
    os.dup2(reading, 0)
    try:
        os.write(writing, b'["stage", "prepare"]\n{"seed": 1}\n')
        os.close(writing)
        assert wait_for_arguments() == ["stage", "prepare"]
        assert os.read(0, 100) == b'{"seed": 1}\n'
        assert wait_for_arguments() is None  # the run has ended
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reading)
