"""Run work over blocks of rows on threads.

Kernels of ours release the interpreter lock, so plain Python threads drive them. Libraries with a pool of their own
(BLAS, faiss) thread by themselves and are not called from here: two pools slow each other down several times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from aeret.cores import cores
from aeret.progress import Step

T = TypeVar("T")


def over_blocks(
    count: int, size: int, work: Callable[[int, int], T], threads: int = 0, step: Step | None = None
) -> Iterator[T]:
    """Yield ``work(start, stop)`` of consecutive blocks of at most ``size`` of ``count`` rows, in order.

    The blocks depend on ``size`` alone, so a caller that adds the results up in the order given gets the same sum for
    any number of threads. At most two blocks per thread are in flight. One block, or one thread, needs no other thread
    than the caller's.

    Args:
        count: rows.
        size: rows in one block, at least 1.
        work: called from several threads at once, or the caller's; shares nothing it writes to with another block.
        threads: how many; 0 means one per core.
        step: receives how many more rows are done.
    """
    threads = threads or cores()
    bounds = [(start, min(start + size, count)) for start in range(0, count, size)]
    if threads == 1 or len(bounds) <= 1:
        for start, stop in bounds:
            yield work(start, stop)
            if step is not None:
                step(stop - start)
        return
    with ThreadPoolExecutor(max_workers=min(threads, len(bounds))) as pool:
        pending: list[Future[T]] = []
        following = 0
        try:
            for start, stop in bounds:
                while following < len(bounds) and len(pending) < 2 * threads:
                    pending.append(pool.submit(work, *bounds[following]))
                    following += 1
                yield pending.pop(0).result()
                if step is not None:
                    step(stop - start)
        finally:
            for future in pending:
                future.cancel()
