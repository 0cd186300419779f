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
    next one loads it already (about 400 MB), and waits. Use it as a context: the process that waits ends with it.
    """

    def __init__(self) -> None:
        self._ahead: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> StageProcesses:
        return self

    def __exit__(self, *error: object) -> None:
        _end(self._ahead)

    def start(self, arguments: Sequence[str], more: bool) -> tuple[subprocess.Popen[bytes], bytes]:
        """Start ``aeret`` with arguments, in the process that waits where there is one.

        Args:
            arguments: of the command line.
            more: another stage will follow.

        Returns:
            The process, and what is to be written to its standard input before anything else.
        """
        process, self._ahead = self._ahead, None
        if process is not None and process.poll() is None:
            head = json.dumps(list(arguments)).encode() + b"\n"
        else:
            _end(process)
            process, head = _start(arguments), b""
        if more:
            self._ahead = _start([AHEAD])
        return process, head


def wait_for_arguments() -> list[str] | None:
    """Read the line that :meth:`StageProcesses.start` writes, and nothing after it; None where the run has ended."""
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
    yield
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
