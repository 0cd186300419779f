"""Run work over blocks of rows on threads.

Only for kernels of ours, which release the interpreter lock; libraries with a pool of their own thread by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from aeret.cores import cores
from aeret.parts import on_threads
from aeret.progress import Step

T = TypeVar("T")


def over_blocks(
    count: int, size: int, work: Callable[[int, int], T], threads: int = 0, step: Step | None = None
) -> Iterator[T]:
    """Yield ``work(start, stop)`` of consecutive blocks of at most ``size`` of ``count`` rows, in order.

    Blocks depend on ``size`` alone, so that sums in this order are the same for any number of threads (0: one per
    core). One block, or one thread, runs on the caller's. ``step`` receives how many more rows are done.
    """
    threads = threads or cores()
    bounds = [(start, min(start + size, count)) for start in range(0, count, size)]
    alone = threads == 1 or len(bounds) <= 1
    results = (work(*each) for each in bounds) if alone else on_threads(lambda each: work(*each), bounds, threads)
    for (start, stop), result in zip(bounds, results, strict=True):
        yield result
        if step is not None:
            step(stop - start)
