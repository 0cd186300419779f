"""Alpha query expansion: the first results join the query, each weighted by its cosine to the power alpha.

Radenovic, Tolias and Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2018. Negative cosines
count as 0. With alpha = 0 it is :mod:`aeret.retrieval.rerankers.aqe`.
"""

from __future__ import annotations

import math

from aeret.retrieval.rerankers.aqe import score
from aeret.retrieval.rerankers.options import real, whole
from aeret.retrieval.rerankers.reranker import Reranker

ALPHA_QE = Reranker(
    "alpha-qe",
    "Radenovic et al., Fine-tuning CNN image retrieval with no human annotation, TPAMI 2018",
    {
        "n": whole(50, 0, "how many of the first results join the query; 0 changes nothing"),
        "alpha": real(3.0, 0.0, math.inf, "the power of the cosine that weights each result; 0 weights all alike"),
    },
    score,
    pairwise=False,
)
