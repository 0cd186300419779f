"""Expand the query by its first results, each weighted by its cosine to the power alpha.

``q' = unit(q + sum of max(cosine, 0)^alpha x)`` over the first n results x, all of unit length; alpha = 0 is average
query expansion (Chum, Philbin, Sivic, Isard and Zisserman, "Total recall", ICCV 2007), alpha = 3 the usual choice of
Radenovic, Tolias and Chum (TPAMI 2018). The papers search again with q'; here the first results are scored again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.retrieval.rerankers.options import real, whole
from aeret.retrieval.rerankers.reranker import Candidates, Reranker, Scores, cosines, unit


def weights(similarities: NDArray[np.floating], alpha: float) -> NDArray[np.float64]:
    """Return max(cosine, 0) ** alpha, float64; alpha = 0 gives 1 everywhere."""
    return np.asarray(np.maximum(similarities.astype(np.float64), 0.0) ** alpha, np.float64)


def _score(found: Candidates, options: Mapping[str, Any]) -> Scores | None:
    if not options["n"]:
        return None
    query, vectors = unit(found.query), unit(found.vectors)
    first = vectors[: options["n"]]
    return -cosines(unit(query + weights(cosines(query, first), options.get("alpha", 0.0)) @ first), vectors)


_N = "how many of the first results join the query; 0 changes nothing"

AQE = Reranker("aqe", "Chum et al., Total recall, ICCV 2007", {"n": whole(10, 0, _N)}, _score, pairwise=False)

ALPHA_QE = Reranker(
    "alpha-qe",
    "Radenovic et al., Fine-tuning CNN image retrieval with no human annotation, TPAMI 2018",
    {
        "n": whole(50, 0, _N),
        "alpha": real(3.0, 0.0, math.inf, "the power of the cosine that weights each result; 0 weights all alike"),
    },
    _score,
    pairwise=False,
)
