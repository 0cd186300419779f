"""Describe batch after batch of photos, in as many processes as there are cores: these libraries hold Python's lock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aeret.cores import cores
from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors
from aeret.parts import on_processes

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
    yield from on_processes(feature.describe, batches, workers)
