"""Progress of long work: what is done, at what rate, and the time left.

Rooms take a ``Progress`` argument and say ``with progress("decode photos", total, unit="photo") as step: step(1)``.
The command line passes ``terminal``; tests and libraries pass ``silent``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Step = Callable[[int], None]


class Progress(Protocol):
    """Open a progress bar; the yielded function adds finished items."""

    def __call__(self, title: str, total: int, unit: str = "item", done: int = 0) -> AbstractContextManager[Step]:
        """Open a bar of ``total`` items of which ``done`` are already there (a resumed run)."""
        ...


@contextmanager
def silent(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Step]:
    """Show nothing."""
    yield lambda count: None


@contextmanager
def terminal(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Step]:
    """Show a bar with rate and time left on standard error."""
    from tqdm import tqdm

    if not sys.stderr.isatty():
        with _lines(title, total, unit, done) as step:
            yield step
        return
    with tqdm(
        total=total,
        initial=done,
        desc=title,
        unit=f" {unit}",
        unit_scale=total > _LARGE,
        file=sys.stderr,
        dynamic_ncols=True,
    ) as bar:
        yield lambda count: (bar.update(count), None)[1]


_LARGE = 100_000
_SECONDS = 10.0


@contextmanager
def _lines(title: str, total: int, unit: str, done: int) -> Iterator[Step]:
    """Write whole lines, as a log wants them: every ten seconds, and one at the end."""
    from tqdm import tqdm

    reached, started = done, time.monotonic()
    written = started

    def write() -> None:
        line = tqdm.format_meter(
            reached,
            total,
            time.monotonic() - started,
            ncols=100,
            prefix=title,
            ascii=True,
            unit=f" {unit}",
            unit_scale=total > _LARGE,
            initial=done,
        )
        sys.stderr.write(line.rstrip() + "\n")
        sys.stderr.flush()

    def step(count: int) -> None:
        nonlocal reached, written
        reached += count
        if time.monotonic() - written >= _SECONDS:
            written = time.monotonic()
            write()

    try:
        yield step
    finally:
        write()
