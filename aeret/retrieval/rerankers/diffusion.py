"""Diffusion: similarity flows from the query's nearest results along the neighbour graph of the block.

Iscen, Tolias, Avrithis, Furon and Chum, "Efficient diffusion on region manifolds: recovering small objects with
compact CNN representations", CVPR 2017. Affinity ``A_ij = max(cosine, 0)^gamma`` of mutual neighbours among k, no
loops; ``S = D^-1/2 A D^-1/2``; ``y`` is the affinity of the query to its ``k_query`` nearest; ``(I - a S) f = y`` is
solved by conjugate gradient (I - a S is symmetric and positive definite for a < 1), and results are ordered by f.
Those that no flow reaches have f = 0 and keep their order after the others.

The paper's graph spans the whole database; here it is the block's, so ``k`` is smaller than the paper's 50.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import LinearOperator, cg

from aeret.embeddings.distances import Vectors
from aeret.retrieval.rerankers.options import real, whole
from aeret.retrieval.rerankers.reranker import Block, Reranker
from aeret.retrieval.rerankers.similarities import Scores, similarities, unit

_TOLERANCE = 1e-6


def graph(vectors: Vectors, k: int, gamma: float) -> NDArray[np.float64]:
    """Return S, float64 (n, n), symmetric, of vectors of unit length (n, d); its eigenvalues lie in [-1, 1]."""
    cosines = similarities(vectors, vectors)
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    chosen = np.zeros(cosines.shape, bool)
    np.put_along_axis(chosen, nearest, True, axis=1)
    np.fill_diagonal(chosen, False)
    affinity = np.where(chosen & chosen.T, np.maximum(cosines, 0), 0).astype(np.float64) ** gamma
    affinity[~(chosen & chosen.T)] = 0  # 0 ** 0
    degree = affinity.sum(axis=1)
    scale = 1 / np.sqrt(np.where(degree > 0, degree, 1))
    return np.asarray(affinity * np.outer(scale, scale), np.float64)


def _score(block: Block, options: Mapping[str, Any]) -> Scores:
    vectors = unit(block.vectors)
    cosines = np.maximum(similarities(unit(block.query)[None], vectors)[0], 0).astype(np.float64)
    start = np.zeros(len(vectors))
    nearest = np.argsort(-cosines, kind="stable")[: options["k_query"]]
    start[nearest] = cosines[nearest] ** options["gamma"]
    if not options["a"]:
        return -start
    flow = csr_array(graph(vectors, options["k"], options["gamma"]))
    system = LinearOperator(flow.shape, matvec=lambda f: f - options["a"] * (flow @ f), dtype=np.float64)
    found, _ = cg(system, start, rtol=_TOLERANCE, maxiter=options["iterations"])
    return -found


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
