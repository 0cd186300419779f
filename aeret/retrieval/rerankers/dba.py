"""Average each photo's vector with its nearest neighbours in the gallery (database-side augmentation).

Turcot and Lowe 2009; Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval", CVPR
2012; weights as in alpha query expansion. Neighbours come from the whole gallery: averages within the results, which
were chosen for being near the query, favour unrelated photos.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, checked, nearest_rows
from aeret.errors import UsageError
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers.options import Option, checked_options, per_query, real, whole
from aeret.retrieval.rerankers.query_expansion import weights
from aeret.retrieval.rerankers.reranker import Candidates, Reranker, Scores, cosines, unit


@dataclass(frozen=True)
class Neighbours:
    """The nearest others of some gallery rows, by cosine."""

    of: NDArray[np.int64]
    """Gallery rows, rising, int64 (n,)."""
    rows: NDArray[np.int64]
    """Their neighbours, nearest first, ties by row, int64 (n, k)."""
    cosines: Vectors
    """float32 (n, k)."""


def find_neighbours(gallery: NDArray[np.floating], k: int, of: NDArray[np.integer] | None = None) -> Neighbours:
    """Find the ``k`` nearest others of gallery rows ``of`` (all by default), or all others if there are fewer.

    A leave-one-out search needs one more than the option ``k``, because the query drops out.

    Raises:
        UsageError: the gallery is no matrix of finite numbers, ``k`` is below 1, or a row does not exist.
    """
    gallery = checked(gallery, "Gallery embeddings")
    rows = np.arange(len(gallery)) if of is None else np.unique(np.asarray(of, np.int64))
    if k < 1 or (len(rows) and not (rows[0] >= 0 and rows[-1] < len(gallery))):
        raise UsageError(f"neighbours need k >= 1 and rows of a gallery of {len(gallery)}; got k={k}, rows {rows}.")
    vectors, k = unit(gallery), min(k, len(gallery) - 1)
    near, squared = nearest_rows(vectors[rows], vectors, k + 1)
    kept = near != rows[:, None]
    kept[kept.all(axis=1), k:] = False  # among many equal vectors a row may not find itself
    return Neighbours(rows, near[kept].reshape(-1, k), 1 - squared[kept].reshape(-1, k) / 2)


def augment(gallery: NDArray[np.floating], *, k: int = 10, alpha: float = 0.0) -> Vectors:
    """Return each vector of a gallery averaged with its ``k`` nearest others, float32 (g, d), of unit length.

    Not for queries that are part of the gallery: each would be mixed into the vectors it is to find. ``k`` = 0 returns
    the gallery as it is; a neighbour weighs max(cosine, 0) ** alpha.

    Raises:
        UsageError: the gallery is no matrix of finite numbers, or an option is wrong.
    """
    checked_options(DBA.options, {"k": k, "alpha": alpha}, DBA.name)
    gallery = checked(gallery, "Gallery embeddings")
    if not k or len(gallery) < 2:
        return gallery.copy()
    found = find_neighbours(gallery, k)
    return _averaged(unit(gallery), gallery, found.rows, weights(found.cosines, alpha))


def _averaged(
    vectors: Vectors, gallery: NDArray[np.floating], rows: NDArray[np.int64], share: NDArray[np.float64]
) -> Vectors:
    """Return unit(x + sum of share * unit(gallery[rows])), float32 (n, d), for unit x (n, d), rows and share (n, k)."""
    joined = vectors.astype(np.float64)
    for column in range(rows.shape[1]):
        joined += share[:, column, None] * unit(np.asarray(gallery[rows[:, column]], np.float32))
    return unit(joined)


def _score(found: Candidates, options: Mapping[str, Any]) -> Scores | None:
    neighbours: Neighbours | None = options["neighbours"]
    if not options["k"] or neighbours is None:
        return None
    at, k = np.searchsorted(neighbours.of, found.rows), options["k"]
    # The first k without the query, which can be any of the first k + 1.
    rows = neighbours.rows[at, : k + 1]
    others = rows != options["exclude"][found.number]
    share = weights(neighbours.cosines[at, : k + 1], options["alpha"]) * (others & (others.cumsum(axis=1) <= k))
    return -cosines(unit(found.query), _averaged(unit(found.vectors), found.gallery, rows, share))


def _prepare(options: dict[str, Any], ranking: Ranking, gallery: NDArray[np.floating]) -> None:
    excluded, k = options["exclude"], options["k"]
    exclude = np.full(len(ranking), -1) if excluded is None else np.asarray(excluded)
    if exclude.shape != (len(ranking),) or (exclude.size and exclude.dtype.kind not in "iu"):
        raise UsageError(f"exclude must name one gallery row (or -1) per query, {len(ranking)}; got {excluded!r}.")
    options["exclude"] = exclude
    asked = np.unique(ranking.rows)
    if not k or len(gallery) < 2 or not len(asked):
        options["neighbours"] = None
        return
    needed = min(k + int((exclude >= 0).any()), len(gallery) - 1)
    found = options["neighbours"] = options["neighbours"] or find_neighbours(gallery, needed, asked)
    if found.rows.shape[1] < needed:
        raise UsageError(
            f"There are {found.rows.shape[1]} neighbours of each photo, but k={k} needs {needed} (one more than k if "
            "queries are excluded); find more."
        )
    if not np.isin(asked, found.of).all() or found.rows.max() >= len(gallery):
        raise UsageError("The neighbours are not those of this gallery: call find_neighbours on it first.")


DBA = Reranker(
    "dba",
    "Arandjelovic and Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012",
    {
        "k": whole(10, 0, "how many neighbours each result is averaged with; 0 changes nothing"),
        "alpha": real(0.0, 0.0, math.inf, "the power of the cosine that weights each neighbour; 0 weights all alike"),
        "neighbours": Option(
            None,
            "the neighbours in the gallery, if they were found before",
            "what find_neighbours returned",
            lambda value: value is None or isinstance(value, Neighbours),
        ),
        "exclude": per_query("the gallery row, or -1, of each query, which is never averaged in"),
    },
    _score,
    pairwise=False,
    prepare=_prepare,
)
