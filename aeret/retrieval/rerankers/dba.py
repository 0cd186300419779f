"""Database-side augmentation: each photo's vector is averaged with its nearest neighbours'.

Turcot and Lowe 2009; Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval", CVPR
2012; weights as in alpha query expansion. The paper does it once for the whole database. The re-ranker here does it
within the block: the neighbours of a result are looked for among the query's other results. So it needs no second copy
of the gallery, and in a leave-one-out search the query cannot slip into the vectors of its own results.
:func:`augment` is the paper's: new vectors for a whole gallery, to be searched or indexed in place of the old.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, nearest_rows
from aeret.progress import Progress, silent
from aeret.retrieval.rerankers.aqe import weights
from aeret.retrieval.rerankers.options import checked_options, real, whole
from aeret.retrieval.rerankers.reranker import Block, Reranker
from aeret.retrieval.rerankers.similarities import Scores, similarities, unit, unlikeness

_AT_ONCE = 2**22  # numbers of neighbours gathered at once


def augment(
    gallery: NDArray[np.floating],
    *,
    k: int = 10,
    alpha: float = 0.0,
    threads: int = 0,
    progress: Progress = silent,
) -> Vectors:
    """Return each vector averaged with its ``k`` nearest others in the gallery, float32 (g, d), of unit length.

    Do not use it where queries are part of the gallery: each would be mixed into the vectors it is to find.

    Args:
        gallery: float32 (g, d).
        k: neighbours, ties by row; all there are where the gallery holds fewer. 0 returns the gallery as it is.
        alpha: a neighbour weighs max(cosine, 0) ** alpha; 0 weights all like the vector itself.
        threads: 0 means one per core; never changes a result.
        progress: shows photos done.

    Raises:
        UsageError: the gallery is no matrix of finite numbers, or an option is wrong.
    """
    gallery = checked(gallery, "Gallery embeddings")
    values = checked_options(DBA.options, {"k": k, "alpha": alpha}, DBA.name)
    return _augment(gallery, min(values["k"], len(gallery) - 1), values["alpha"], threads, progress)


def _augment(gallery: Vectors, k: int, alpha: float, threads: int, progress: Progress) -> Vectors:
    if k < 1:
        return gallery.copy()
    vectors = unit(gallery)
    out = np.empty_like(vectors)

    def work(start: int, stop: int) -> None:
        found, squared = nearest_rows(vectors[start:stop], vectors, k + 1)
        # Each loses itself, or among equal vectors the last.
        kept = found != np.arange(start, stop)[:, None]
        kept[kept.all(axis=1), k:] = False
        rows = found[kept].reshape(stop - start, k)
        cosines = 1 - squared[kept].reshape(stop - start, k) / 2
        out[start:stop] = averaged(vectors[start:stop], vectors, rows, cosines, alpha)

    with progress("augment the gallery", len(gallery), unit="photo") as step:
        for _ in over_blocks(len(gallery), max(1, _AT_ONCE // ((k + 1) * vectors.shape[1])), work, threads, step):
            pass
    return out


def averaged(
    vectors: Vectors, among: Vectors, rows: NDArray[np.int64], cosines: NDArray[np.floating], alpha: float
) -> Vectors:
    """Return unit(x + weighted sum of ``among[rows]``), float32 (n, d), for vectors x (n, d), rows (n, k)."""
    joined = vectors.astype(np.float64)
    share = weights(cosines, alpha)
    for column in range(rows.shape[1]):
        joined += share[:, column, None] * among[rows[:, column]]
    return unit(joined)


def _score(block: Block, options: Mapping[str, Any]) -> Scores | None:
    k = min(options["k"], len(block.vectors) - 1)
    if k < 1:
        return None
    vectors = unit(block.vectors)
    cosines = similarities(vectors, vectors)
    np.fill_diagonal(cosines, -np.inf)
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return unlikeness(
        unit(block.query),
        averaged(vectors, vectors, rows, np.take_along_axis(cosines, rows, axis=1), options["alpha"]),
    )


DBA = Reranker(
    "dba",
    "Arandjelovic and Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012",
    {
        "k": whole(10, 0, "how many neighbours each result is averaged with; 0 changes nothing"),
        "alpha": real(0.0, 0.0, math.inf, "the power of the cosine that weights each neighbour; 0 weights all alike"),
    },
    _score,
)
