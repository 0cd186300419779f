"""Describe batch after batch of photos, in as many processes as there are cores: these libraries hold Python's lock."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from aeret.cores import cores
from aeret.data.photos import start_worker
from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors
from aeret.errors import RunError

_INLINE = 512  # photos; starting processes takes as long as describing about so many


def describe_batches(
    feature: ClassicFeature, batches: Iterable[Photos], count: int, workers: int = 0
) -> Iterator[Vectors]:
    """Yield the vectors of each batch, in order; the result does not depend on how many processes there are.

    Args:
        feature: one of :data:`aeret.embeddings.classic.CLASSIC_FEATURES`.
        batches: uint8 (b, S, S, 3) each; at most two a process are taken ahead.
        count: photos in all of them.
        workers: processes; 0 means one per core.

    Raises:
        RunError: a process was killed.
    """
    workers = workers or cores()
    if workers == 1 or count <= _INLINE:
        yield from map(feature.describe, batches)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=start_worker)
    try:
        rest = iter(batches)
        waiting: deque[Future[Vectors]] = deque(
            pool.submit(feature.describe, batch) for batch in islice(rest, 2 * workers)
        )
        while waiting:
            found = waiting.popleft().result()
            waiting.extend(pool.submit(feature.describe, batch) for batch in islice(rest, 1))
            yield found
    except BrokenProcessPool:
        raise RunError(
            "A process that describes photos was killed, perhaps for lack of memory; the same command resumes. "
            "Lower data.workers if it happens again."
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
