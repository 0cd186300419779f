"""Progress of long work: what is done, at what rate, and the time left.

Rooms take a ``Progress`` argument and say ``with progress("decode photos", total, unit="photo") as step: step(1)``.
The command line passes ``terminal``; tests and libraries pass ``silent``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Step = Callable[[int], None]


class Progress(Protocol):
    """Opens one bar; the value yielded is called with how many more items are done."""

    def __call__(self, title: str, total: int, unit: str = "item", done: int = 0) -> AbstractContextManager[Step]:
        """Open a bar of ``total`` items of which ``done`` are already there (a resumed run)."""
        ...


@contextmanager
def silent(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Step]:
    """Show nothing."""
    yield lambda count: None


@contextmanager
def terminal(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Step]:
    """Show a bar with rate and time left on standard error; a line every ten seconds where that is no terminal."""
    from tqdm import tqdm

    interactive = sys.stderr.isatty()
    with tqdm(
        total=total,
        initial=done,
        desc=title,
        unit=f" {unit}",
        unit_scale=total > 100_000,
        file=sys.stderr,
        mininterval=0.1 if interactive else 10.0,
        leave=True,
        dynamic_ncols=interactive,
        ascii=not interactive,
    ) as bar:
        yield lambda count: (bar.update(count), None)[1]
