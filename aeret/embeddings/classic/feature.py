"""Define a classic feature, and describe batches of photos by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.cores import cores
from aeret.parts import on_processes

Photos = NDArray[np.uint8]
"""uint8 (b, S, S, 3), RGB."""
Vectors = NDArray[np.float32]
"""float32 (b, d)."""
_INLINE = 512


@dataclass(frozen=True)
class ClassicFeature:
    """Turns photos into vectors without a network."""

    paper: str
    describe: Callable[[Photos], Vectors]
    """Photos uint8 (b, S, S, 3), S >= 16, to float32 (b, d); d does not depend on S."""
    fit: Callable[[Vectors], Mapping[str, Vectors]] | None = None
    """Learns named arrays from the described *train* photos; None learns nothing."""
    project: Callable[[Vectors, Mapping[str, Vectors]], Vectors] = lambda described, fitted: described
    """Turns described photos, with what ``fit`` learnt, into vectors float32 (b, k)."""


def grey(photos: Photos) -> Vectors:
    """Return the luminance of photos, float32 (b, S, S), 0 to 255 (the weights of ITU-R BT.709, as scikit-image)."""
    return np.asarray(photos.astype(np.float32) @ np.array([0.2125, 0.7154, 0.0721], np.float32), np.float32)


def describe_batches(
    feature: ClassicFeature, batches: Iterable[Photos], count: int, workers: int = 0
) -> Iterator[Vectors]:
    """Yield the vectors of each batch of ``count`` photos in all, in order, by ``workers`` processes (0: one per core).

    Raises:
        RunError: a process was killed.
    """
    workers = workers or cores()
    # Starting processes takes as long as describing about so many photos; these libraries hold Python's lock.
    alone = workers == 1 or count <= _INLINE
    return map(feature.describe, batches) if alone else on_processes(feature.describe, batches, workers)
