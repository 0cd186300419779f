"""The next stage's process loads libraries beforehand, takes its arguments when its turn comes, and outlives nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aeret import __version__
from aeret.pipeline.stage_process import StageProcesses, wait_for_arguments


def test_the_second_process_was_waiting_and_does_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    with StageProcesses() as processes:
        first, nothing = processes.start(["--version"], more=True)
        second, line = processes.start(["--version"], more=False)
        assert nothing == b""
        assert line == b'["--version"]\n'
        assert first.args != second.args
        for process, head in ((first, nothing), (second, line)):
            process.communicate(head)
            assert process.returncode == 0
    assert capfd.readouterr().out.split() == ["aeret,", "version", __version__] * 2


def test_exit_codes_and_messages_are_those_of_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    with StageProcesses() as processes:
        processes.start(["--version"], more=True)[0].communicate()
        waited, line = processes.start(["stage", "no-such-stage"], more=False)
        waited.communicate(line)
    assert waited.returncode == 2
    assert "No such command 'no-such-stage'" in capfd.readouterr().err


def test_one_that_died_while_it_waited_is_not_missed() -> None:
    with StageProcesses() as processes:
        processes.start(["--version"], more=True)[0].communicate()
        assert processes._ahead is not None
        processes._ahead.kill()
        processes._ahead.wait()
        process, head = processes.start(["--version"], more=False)
        process.communicate(head)
        assert (process.returncode, head) == (0, b"")


def test_the_one_that_waits_ends_with_the_run() -> None:
    with StageProcesses() as processes:
        processes.start(["--version"], more=True)[0].communicate()
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
        "processes.start(['--version'], more=True)[0].communicate()\n"
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
