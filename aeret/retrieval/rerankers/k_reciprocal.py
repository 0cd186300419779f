"""Order results by how many reciprocal neighbours they share with the query.

Zhong, Zheng, Cao and Li, "Re-ranking person re-identification with k-reciprocal encoding", CVPR 2017. D is the squared
Euclidean distance among query and results, each row divided by its largest entry:

- N(p, k): the k + 1 nearest of p, itself included; ties by place in the ranking, the query first.
- R(p, k): those g in N(p, k) that have p in N(g, k). R* adds R(g, k1/2) for every g of R(p, k1) of which at least two
  thirds are in R(p, k1) (the paper; its published code wants more than two thirds).
- V_p[g] = exp(-D[p, g]) on R*(p), scaled to sum 1; then V_p is the mean of V over the k2 nearest of p.
- d = (1 - weight) (1 - sum min(V_q, V_g) / sum max(V_q, V_g)) + weight D[q, g].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from aeret.retrieval.rerankers.options import real, whole
from aeret.retrieval.rerankers.reranker import Candidates, Reranker, Scores


def _score(found: Candidates, options: Mapping[str, Any]) -> Scores:
    weight = options["weight"]
    everyone = np.concatenate([found.query[None], found.vectors])
    if weight == 1:
        # Not divided by the largest: that could only create ties.
        return np.asarray(cdist(found.query[None], found.vectors, "sqeuclidean")[0])
    distance = cdist(everyone, everyone, "sqeuclidean")
    largest = distance.max(axis=1, keepdims=True)
    distance /= np.where(largest > 0, largest, 1)
    encoded = _encoded(distance, options["k1"], options["k2"])
    # Each encoding sums to 1, so that min and max of two sum to 2 together.
    shared = np.minimum(encoded, encoded[0]).sum(axis=1)
    jaccard = 1 - shared / (2 - shared)
    return np.asarray((1 - weight) * jaccard[1:] + weight * distance[0, 1:])


def _encoded(distance: NDArray[np.float64], k1: int, k2: int) -> NDArray[np.float64]:
    """Return V, float64 (n, n), averaged over the k2 nearest."""
    order = np.argsort(distance, axis=1, kind="stable")
    place = np.argsort(order, axis=1)  # place[p, g]: how many are nearer to p than g
    strict, wider = ((place <= k) & (k >= place.T) for k in (k1, round(k1 / 2)))
    common = strict.astype(np.float32) @ wider.T.astype(np.float32)  # small whole numbers: exact
    joining = strict & (3 * common >= 2 * wider.sum(axis=1))
    kept = strict | (joining.astype(np.float32) @ wider.astype(np.float32) > 0)
    encoded = np.where(kept, np.exp(-distance), 0.0)
    total = encoded.sum(axis=1, keepdims=True)
    encoded /= np.where(total > 0, total, 1)  # among many equal vectors one may have no neighbour at all
    return np.asarray(sum(encoded[each] for each in order[:, :k2].T) / min(k2, len(order)))


K_RECIPROCAL = Reranker(
    "k-reciprocal",
    "Zhong et al., Re-ranking person re-identification with k-reciprocal encoding, CVPR 2017",
    {
        "k1": whole(20, 1, "how many neighbours may be reciprocal"),
        "k2": whole(6, 1, "over how many nearest, itself included, an encoding is averaged; 1 is itself alone"),
        "weight": real(0.3, 0.0, 1.0, "the weight (the paper's lambda) of the original distance"),
    },
    _score,
)
