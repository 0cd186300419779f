"""Database-side augmentation: each photo's vector is averaged with its nearest neighbours' in the gallery.

Turcot and Lowe 2009; Arandjelovic and Zisserman, "Three things everyone should know to improve object retrieval", CVPR
2012; weights as in alpha query expansion. The re-ranker scores the block by the cosine of the query to its augmented
vectors. :func:`augment` is the paper's: new vectors for a whole gallery, to be searched or indexed in place of the old.

Neighbours come from the whole gallery, not from the block, so this re-ranker reads beyond it. A block would be cheaper,
and wrong: its photos were chosen for being near the query, so what unrelated ones have in common is the query, and
their average lies nearer to it than the average of the right ones. (On a mixture where P@10 was 0.998, neighbours of
the block brought it to 0.135.)

Neighbours do not depend on the query: find them once with :func:`find_neighbours`. Where they are not given, those of
all results in all blocks are searched for, exactly, which costs like that many queries and a copy of the gallery.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, nearest_rows
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.retrieval.rerankers.aqe import weights
from aeret.retrieval.rerankers.options import Option, checked_options, per_query, real, whole
from aeret.retrieval.rerankers.reranker import Block, Reranker, Task
from aeret.retrieval.rerankers.similarities import Scores, unit, unlikeness

_AT_ONCE = 2**22  # numbers of neighbours gathered at once


@dataclass(frozen=True)
class Neighbours:
    """The nearest others of some gallery rows, by cosine."""

    of: NDArray[np.int64]
    """Gallery rows, rising, int64 (n,)."""
    rows: NDArray[np.int64]
    """Their neighbours, nearest first, ties by row, int64 (n, k)."""
    cosines: Vectors
    """float32 (n, k)."""


def find_neighbours(
    gallery: NDArray[np.floating],
    k: int,
    of: NDArray[np.integer] | None = None,
    *,
    threads: int = 0,
    progress: Progress = silent,
) -> Neighbours:
    """Find the ``k`` nearest others of gallery rows; all there are where the gallery holds fewer.

    Args:
        gallery: float32 (g, d).
        k: neighbours. A leave-one-out search wants one more than its option ``k``, since the query drops out.
        of: gallery rows, int64 (n,); all where not given.
        threads: 0 means one per core; never changes a result.
        progress: shows photos done.

    Raises:
        UsageError: the gallery is no matrix of finite numbers, ``k`` is below 1, or there is no such row.
    """
    gallery = checked(gallery, "Gallery embeddings")
    rows = np.arange(len(gallery)) if of is None else np.unique(np.asarray(of, np.int64))
    if k < 1 or (len(rows) and not (rows[0] >= 0 and rows[-1] < len(gallery))):
        raise UsageError(f"neighbours need k >= 1 and rows of a gallery of {len(gallery)}; got k={k}, rows {rows}.")
    return _find(unit(gallery), min(k, len(gallery) - 1), rows, threads, progress)


def _find(vectors: Vectors, k: int, rows: NDArray[np.int64], threads: int, progress: Progress) -> Neighbours:
    found, cosines = np.empty((len(rows), k), np.int64), np.empty((len(rows), k), np.float32)

    def work(start: int, stop: int) -> None:
        near, squared = nearest_rows(vectors[rows[start:stop]], vectors, k + 1)
        # Each loses itself, or among equal vectors the last.
        kept = near != rows[start:stop, None]
        kept[kept.all(axis=1), k:] = False
        found[start:stop] = near[kept].reshape(stop - start, k)
        cosines[start:stop] = 1 - squared[kept].reshape(stop - start, k) / 2

    with progress("neighbours in the gallery", len(rows), unit="photo") as step:
        for _ in over_blocks(len(rows), 512, work, threads, step):
            pass
    return Neighbours(rows, found, cosines)


def augment(
    gallery: NDArray[np.floating], *, k: int = 10, alpha: float = 0.0, threads: int = 0, progress: Progress = silent
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
    values = checked_options(DBA.options, {"k": k, "alpha": alpha}, DBA.name)
    gallery = checked(gallery, "Gallery embeddings")
    if not values["k"] or len(gallery) < 2:
        return gallery.copy()
    found = find_neighbours(gallery, values["k"], threads=threads, progress=progress)
    vectors = unit(gallery)
    out = np.empty_like(vectors)
    size = max(1, _AT_ONCE // vectors.shape[1])
    for start in range(0, len(vectors), size):
        part = slice(start, start + size)
        share = weights(found.cosines[part], values["alpha"])
        out[part] = averaged(vectors[part], vectors, found.rows[part], share)
    return out


def averaged(
    vectors: Vectors, among: NDArray[np.floating], rows: NDArray[np.int64], share: NDArray[np.float64]
) -> Vectors:
    """Return unit(x + sum of share * unit(among[rows])), float32 (n, d), for unit x (n, d), rows and share (n, k)."""
    joined = vectors.astype(np.float64)
    for column in range(rows.shape[1]):
        joined += share[:, column, None] * unit(np.asarray(among[rows[:, column]], np.float32))
    return unit(joined)


def _score(block: Block, options: Mapping[str, Any]) -> Scores | None:
    neighbours: Neighbours | None = options["neighbours"]
    if not options["k"] or neighbours is None:
        return None
    at = np.searchsorted(neighbours.of, block.rows)
    # The first k but the query; it can be any of the first k + 1.
    rows = neighbours.rows[at, : options["k"] + 1]
    others = rows != options["exclude"][block.number]
    first = others & (np.cumsum(others, axis=1) <= options["k"])
    share = weights(neighbours.cosines[at, : options["k"] + 1], options["alpha"]) * first
    return unlikeness(unit(block.query), averaged(unit(block.vectors), block.gallery, rows, share))


def _prepare(options: dict[str, Any], task: Task) -> None:
    excluded = options["exclude"]
    exclude = np.full(len(task.ranking), -1) if excluded is None else np.asarray(excluded)
    if exclude.shape != (len(task.ranking),) or (exclude.size and exclude.dtype.kind not in "iu"):
        raise UsageError(f"exclude must name one gallery row (or -1) per query, {len(task.ranking)}; got {excluded!r}.")
    options["exclude"] = exclude
    k, gallery = options["k"], len(task.gallery)
    asked = np.unique(task.ranking.rows[:, : task.top])
    if not k or gallery < 2 or not len(asked):
        options["neighbours"] = None
        return
    needed = min(k + int((exclude >= 0).any()), gallery - 1)
    found = options["neighbours"] or find_neighbours(task.gallery, needed, asked, threads=task.threads)
    options["neighbours"] = found
    if found.rows.shape[1] < needed:
        raise UsageError(
            f"There are {found.rows.shape[1]} neighbours of each photo where k={k} needs {needed} (one more than k "
            "where queries are excluded); find more."
        )
    if not np.isin(asked, found.of).all() or found.rows.max() >= gallery:
        raise UsageError("The neighbours are not those of this gallery: find_neighbours of it first.")


def _neighbours(value: Any) -> Any:
    if value is not None and not isinstance(value, Neighbours):
        raise ValueError("what find_neighbours returned")
    return value


DBA = Reranker(
    "dba",
    "Arandjelovic and Zisserman, Three things everyone should know to improve object retrieval, CVPR 2012",
    {
        "k": whole(10, 0, "how many neighbours each result is averaged with; 0 changes nothing"),
        "alpha": real(0.0, 0.0, math.inf, "the power of the cosine that weights each neighbour; 0 weights all alike"),
        "neighbours": Option(None, "the neighbours in the gallery, where they were found before", _neighbours),
        "exclude": per_query("the gallery row, or -1, of each query, which is never averaged in"),
    },
    _score,
    pairwise=False,
    prepare=_prepare,
)
