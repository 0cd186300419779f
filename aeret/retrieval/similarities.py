"""Search by any similarity of two photos, exactly, with ties by row.

- ``cosine``, ``euclidean``, ``dot``: of embeddings or codes; distances are 1 - cosine, the distance, minus the product.
- ``hamming``: bits that differ, of binary codes, uint8 as :func:`numpy.packbits` makes them, or bool.
- ``layout``: 1 - intersection over union of masks, true or decoded, mean over the categories of either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.data.masks import MaskPlanes
from aeret.embeddings.blocks import over_blocks
from aeret.errors import UsageError
from aeret.registry import lookup
from aeret.retrieval.indexes.binary import BinaryFlat
from aeret.retrieval.indexes.flat import Flat
from aeret.retrieval.indexes.index import Index
from aeret.retrieval.mask_overlap import MaskOverlap, join, planes_of
from aeret.retrieval.ranking import Ranking

Search = Callable[[Any, Any, int, NDArray[np.int64], int], Ranking]
"""Queries, gallery, n, row that each query leaves out (or -1), threads."""

PRESENT = 0.5
"""Share from which on a decoded cell belongs to a category."""
_QUERIES_AT_ONCE = 64


def search(
    similarity: str, queries: Any, gallery: Any, n: int, exclude: NDArray[np.integer] | None = None, threads: int = 0
) -> Ranking:
    """Return the ``n`` gallery photos most similar to each query.

    Args:
        similarity: a key of :data:`SIMILARITIES`.
        queries: float32 (q, d); codes for ``hamming``; :class:`~aeret.data.masks.MaskPlanes` for ``layout``.
        gallery: the same of the gallery.
        n: results; fewer if the gallery holds fewer.
        exclude: gallery row left out of each query's results, or -1; int64 (q,).
        threads: 0 means one per core.

    Raises:
        UnknownNameError: no such similarity.
        UsageError: queries and gallery do not fit each other or the similarity.
    """
    run = lookup(SIMILARITIES, similarity, "similarity")
    if n < 1:
        raise UsageError(f"A search must return at least one result, got n={n}.")
    if any(isinstance(each, MaskPlanes) != (run is _layout) for each in (queries, gallery)):
        given = f"{type(queries).__name__} and {type(gallery).__name__}"
        raise UsageError(f"similarity {similarity!r} compares {'masks' if run is _layout else 'vectors'}; got {given}.")
    left_out = np.full(len(queries), -1, np.int64) if exclude is None else np.asarray(exclude, np.int64)
    fits = left_out.shape == (len(queries),)
    if not fits or (len(left_out) and not -1 <= left_out.min() <= left_out.max() < len(gallery)):
        raise UsageError(f"exclude must be a row of {len(gallery)}, or -1, for each of {len(queries)} queries.")
    return run(queries, gallery, n, left_out, threads)


def decoded_planes(blocks: Iterable[NDArray[np.floating]]) -> MaskPlanes:
    """Return decoded masks, shares in [0, 1], float (b, size, size, channels) a block, as bit planes.

    Raises:
        UsageError: there are no blocks.
    """
    parts = [planes_of(np.asarray(block) >= PRESENT) for block in blocks]
    if not parts:
        raise UsageError("There are no decoded masks to compare.")
    return join(parts)


def _indexed(
    kind: type[Index], metric: str, queries: Any, gallery: Any, n: int, exclude: NDArray[np.int64], threads: int
) -> Ranking:
    return kind.build(gallery, metric=metric).search(queries, n, exclude=exclude, threads=threads)


def _layout(queries: MaskPlanes, gallery: MaskPlanes, n: int, exclude: NDArray[np.int64], threads: int) -> Ranking:
    overlap = MaskOverlap(queries, gallery, exclude)
    n = min(n, len(gallery) - int(bool((exclude >= 0).any())))
    rows, distances = np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32)

    def work(start: int, stop: int) -> None:
        far = 1 - overlap.all(np.arange(start, stop))
        own = np.flatnonzero(exclude[start:stop] >= 0)
        far[own, exclude[start:stop][own]] = np.inf
        rows[start:stop] = np.argsort(far, axis=1, kind="stable")[:, :n]
        distances[start:stop] = np.take_along_axis(far, rows[start:stop], axis=1)

    for _ in over_blocks(len(queries), _QUERIES_AT_ONCE, work, threads):
        pass
    return Ranking(rows, distances, len(gallery) - (exclude >= 0).astype(np.int64), np.zeros(len(queries), np.int64))


SIMILARITIES: dict[str, Search] = {
    **{metric: partial(_indexed, Flat, metric) for metric in Flat.METRICS},
    "hamming": partial(_indexed, BinaryFlat, "hamming"),
    "layout": _layout,
}
"""Name to search."""
