"""Start stages in processes that end with the run that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

PARENT = "AERET_PARENT"
"""Environment variable that names the process that started a stage."""


def start(arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start ``aeret`` with arguments and a pipe as standard input.

    Raises:
        OSError: no process can be started.
    """
    environment = os.environ | {PARENT: str(os.getpid())}
    return subprocess.Popen([sys.executable, "-m", "aeret", *arguments], env=environment, stdin=subprocess.PIPE)


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent dies; do nothing elsewhere.

    Otherwise a killed ``aeret run`` would leave its stage writing, and the resumed run would find the artifact locked.
    """
    parent = os.environ.get(PARENT)
    if parent and sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
        if os.getppid() != int(parent):
            os.kill(os.getpid(), signal.SIGKILL)
