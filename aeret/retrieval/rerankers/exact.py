"""Score the candidates of a compressed or hashed search again by their true vectors.

Jegou, Tavenard, Douze and Amsaleg, "Searching in one billion vectors: re-rank with source coding", ICASSP 2011, here
with the vectors themselves. True distances replace the search's estimates among the first ``top``; ties go by row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aeret.retrieval.rerankers.options import choice
from aeret.retrieval.rerankers.reranker import Candidates, Reranker, Scores, cosines, unit


def _score(found: Candidates, options: Mapping[str, Any]) -> Scores:
    if options["metric"] == "euclidean":
        return np.linalg.norm(found.vectors - found.query, axis=1)
    if options["metric"] == "cosine":
        return 1 - cosines(unit(found.query), unit(found.vectors))
    return -cosines(found.query, found.vectors)


EXACT = Reranker(
    "exact",
    "Jegou et al., Searching in one billion vectors: re-rank with source coding, ICASSP 2011",
    {
        "metric": choice(
            "euclidean",
            ("euclidean", "cosine", "dot"),
            "what is measured: the distance, 1 - cosine, or the dot product, negated",
        )
    },
    _score,
    pairwise=False,
    measures=True,
)
