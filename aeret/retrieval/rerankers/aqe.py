"""Average query expansion: the first results are taken to be right, and join the query.

Chum, Philbin, Sivic, Isard and Zisserman, "Total recall", ICCV 2007. ``q' = unit(q + sum of the first n results)``, all
of unit length; where the paper searches again with q', here the block alone is scored again, by cosine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors
from aeret.retrieval.rerankers.options import whole
from aeret.retrieval.rerankers.reranker import Block, Reranker
from aeret.retrieval.rerankers.similarities import Scores, similarities, unit, unlikeness


def expanded(query: Vectors, vectors: Vectors, n: int, alpha: float) -> Vectors:
    """Return the expanded query, float32 (d,).

    Args:
        query: of unit length, float32 (d,).
        vectors: of unit length, best first, float32 (k, d).
        n: results that join the query.
        alpha: each has the weight max(cosine to the query, 0) ** alpha; 0 gives all the weight 1.
    """
    first = vectors[:n]
    joined = query.astype(np.float64) + (weights(similarities(query[None], first)[0], alpha)[:, None] * first).sum(0)
    return unit(joined)


def weights(cosines: NDArray[np.floating], alpha: float) -> NDArray[np.float64]:
    """Return max(cosine, 0) ** alpha; where alpha is 0 all are 1."""
    return np.asarray(np.maximum(cosines.astype(np.float64), 0.0) ** alpha, np.float64)


def score(block: Block, options: Mapping[str, Any]) -> Scores | None:
    """Return 1 - cosine of the block's results to the expanded query (see :data:`Score` of ``reranker``)."""
    if not options["n"]:
        return None
    query, vectors = unit(block.query), unit(block.vectors)
    return unlikeness(expanded(query, vectors, options["n"], options.get("alpha", 0.0)), vectors)


AQE = Reranker(
    "aqe",
    "Chum et al., Total recall, ICCV 2007",
    {"n": whole(10, 0, "how many of the first results join the query; 0 changes nothing")},
    score,
    pairwise=False,
)
