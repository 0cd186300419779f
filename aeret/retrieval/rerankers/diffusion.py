"""Let similarity flow from the nearest results along the neighbour graph of the results.

Iscen, Tolias, Avrithis, Furon and Chum, "Efficient diffusion on region manifolds: recovering small objects with
compact CNN representations", CVPR 2017. Affinity ``A_ij = max(cosine, 0)^gamma`` of mutual neighbours among k, no
loops; ``S = D^-1/2 A D^-1/2``; ``y`` is the affinity of the query to its ``k_query`` nearest; conjugate gradient solves
``(I - a S) f = y``, and results are ordered by f. The paper's graph spans the whole database, so its k of 50 is larger.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import cg

from aeret.embeddings.distances import Vectors
from aeret.retrieval.rerankers.options import real, whole
from aeret.retrieval.rerankers.query_expansion import weights
from aeret.retrieval.rerankers.reranker import Candidates, Reranker, Scores, cosines, unit

_TOLERANCE = 1e-6


def graph(vectors: Vectors, k: int, gamma: float) -> NDArray[np.float64]:
    """Return S, float64 (n, n), symmetric, of unit vectors (n, d); its eigenvalues lie in [-1, 1]."""
    similar = cosines(vectors, vectors)
    np.fill_diagonal(similar, -np.inf)
    chosen = np.zeros(similar.shape, bool)
    np.put_along_axis(chosen, np.argsort(-similar, axis=1, kind="stable")[:, :k], True, axis=1)
    np.fill_diagonal(chosen, False)
    affinity = np.where(chosen & chosen.T, weights(similar, gamma), 0.0)
    degree = affinity.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1))
    return np.asarray(affinity * np.outer(scale, scale), np.float64)


def _score(found: Candidates, options: Mapping[str, Any]) -> Scores:
    vectors = unit(found.vectors)
    similar = np.maximum(cosines(unit(found.query), vectors), 0)
    start = np.zeros(len(vectors))
    nearest = np.argsort(-similar, kind="stable")[: options["k_query"]]
    start[nearest] = weights(similar[nearest], options["gamma"])
    if not options["a"]:
        return -start
    system = np.eye(len(vectors)) - options["a"] * graph(vectors, options["k"], options["gamma"])
    flow, _ = cg(system, start, rtol=_TOLERANCE, maxiter=options["iterations"])
    return np.asarray(-flow, np.float64)


DIFFUSION = Reranker(
    "diffusion",
    "Iscen et al., Efficient diffusion on region manifolds, CVPR 2017",
    {
        "a": real(0.99, 0.0, math.nextafter(1, 0), "how far similarity flows, below 1; 0 is the order of the nearest"),
        "k": whole(10, 1, "how many neighbours a result has in the graph"),
        "k_query": whole(10, 1, "how many results the flow starts from"),
        "gamma": real(3.0, 0.0, math.inf, "the power of the cosine"),
        "iterations": whole(50, 1, "the most steps of the conjugate gradient; it ends sooner at a residual of 1e-6"),
    },
    _score,
)
