"""Exact re-score of candidates that came from a compressed or hashed search.

Jegou, Tavenard, Douze and Amsaleg, "Searching in one billion vectors: re-rank with source coding", ICASSP 2011, here
with the vectors themselves. Search for some hundred candidates by code, then order these by their true vectors. The
distances of the block become the true ones; beyond it they stay the search's estimates. Order, ties (by row) and
distances are those of the exact index ``flat``, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from aeret.embeddings.distances import Vectors, raw_distances
from aeret.retrieval.rerankers.options import choice
from aeret.retrieval.rerankers.reranker import Block, Reranker
from aeret.retrieval.rerankers.similarities import unit


def _score(block: Block, options: Mapping[str, Any]) -> Vectors:
    query, vectors = block.query[None], block.vectors
    if options["metric"] == "cosine":
        query, vectors = unit(query), unit(vectors)
    return np.asarray(raw_distances(query, vectors, options["metric"] == "dot")[0], np.float32)


def _distances(raw: Vectors, options: Mapping[str, Any]) -> Vectors:
    if options["metric"] == "cosine":
        return raw / np.float32(2)  # of unit vectors, |a - b|^2 = 2 - 2 cos
    return np.sqrt(raw) if options["metric"] == "euclidean" else raw


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
    measure=_distances,
)
