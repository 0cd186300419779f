"""Processes of stages: they end with the run that started them, and the next one's libraries load beforehand."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

PARENT = "AERET_PARENT"
"""Environment variable that tells a stage's process which process started it."""
AHEAD = "stage-ahead"
"""The command that loads what most stages need, then waits for its arguments."""


class StageProcesses:
    """Starts each stage in a fresh process.

    Of a small stage, loading TensorFlow is the longer part, on one core. So while a stage works, the process of the
    next one that uses Keras loads it already, and waits: with about 0.75 GB of resident memory, 0.4 of it its own.
    Where memory is scarce it loads nothing (:mod:`aeret.cli.ahead`). Use it as a context: what waits ends with it.
    """

    def __init__(self) -> None:
        self._ahead: subprocess.Popen[bytes] | None = None
        self._awaited = ""

    def __enter__(self) -> StageProcesses:
        return self

    def __exit__(self, *error: object) -> None:
        _end(self._ahead)

    def start(self, stage: str, arguments: Sequence[str]) -> tuple[subprocess.Popen[bytes], bytes]:
        """Start ``aeret`` with arguments, in the process that waits for this stage where there is one.

        Args:
            stage: name of the stage.
            arguments: of the command line.

        Returns:
            The process, and what is to be written to its standard input before anything else.

        Raises:
            OSError: no process can be started.
        """
        process, self._ahead = self._ahead, None
        if process is not None and process.poll() is None and stage == self._awaited:
            return process, json.dumps(list(arguments)).encode() + b"\n"
        _end(process)
        return _start(arguments), b""

    def load_ahead(self, stage: str) -> None:
        """Start the process that a stage will run in; where there is none to be had, the stage starts its own later."""
        self._awaited = stage
        with contextlib.suppress(OSError):
            # The name is for those who look at the list of processes.
            self._ahead = _start([AHEAD, stage])


def wait_for_arguments() -> list[str] | None:
    """Read the line that :meth:`StageProcesses.start` writes, and nothing after it; None where the run has ended.

    Raises:
        ValueError: the line is no JSON.
    """
    line = bytearray()
    # Byte by byte: what follows is the stage's own input.
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return None
        line += byte
    arguments: list[str] = json.loads(line)
    return arguments


@contextlib.contextmanager
def quietly_interrupted() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end this process at once and without a word: it has nothing to tidy up yet."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def die_with_parent() -> None:
    """Ask Linux to end this process when the one that started it dies; elsewhere do nothing.

    Without it a killed ``aeret run`` would leave its stage writing, and the resumed run would find the artifact locked.
    """
    parent = os.environ.get(PARENT)
    if parent and sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != int(parent):
            os.kill(os.getpid(), signal.SIGKILL)


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.kill()
        process.communicate()


def _start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | {PARENT: str(os.getpid())}
    return subprocess.Popen([sys.executable, "-m", "aeret", *arguments], env=environment, stdin=subprocess.PIPE)
