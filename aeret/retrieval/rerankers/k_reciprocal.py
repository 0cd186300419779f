"""k-reciprocal encoding: results are near when they and the query are among each other's neighbours.

Zhong, Zheng, Cao and Li, "Re-ranking person re-identification with k-reciprocal encoding", CVPR 2017. Within the block
of query and results, D is the squared Euclidean distance over the largest of its row:

- N(p, k): the k + 1 nearest of p, itself included; ties by place in the ranking, the query first.
- R(p, k): those g in N(p, k) that have p in N(g, k). R* adds R(g, k1/2) for every g of R(p, k1) where at least two
  thirds of it are in R(p, k1) (the paper; its published code wants more than two thirds).
- V_p[g] = exp(-D[p, g]) on R*(p), scaled to sum 1; then V_p is the mean of V over the k2 nearest of p.
- d = (1 - weight) (1 - sum min(V_q, V_g) / sum max(V_q, V_g)) + weight D[q, g].

With weight = 1 the block is ordered by its Euclidean distance alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np

from aeret.embeddings.distances import squared_distances
from aeret.retrieval.rerankers.options import real, whole
from aeret.retrieval.rerankers.reranker import Block, Reranker
from aeret.retrieval.rerankers.similarities import Scores


def _score(block: Block, options: Mapping[str, Any]) -> Scores:
    weight = options["weight"]
    if weight == 1:
        # By the very numbers of the search: dividing them could only make ties.
        return np.asarray(squared_distances(block.query[None], block.vectors)[0], np.float64)
    everyone = np.concatenate([block.query[None], block.vectors])
    distance = squared_distances(everyone, everyone).astype(np.float64)
    largest = distance.max(axis=1, keepdims=True)
    distance /= np.where(largest > 0, largest, 1)
    order = np.argsort(distance, axis=1, kind="stable")
    count = len(everyone)
    jaccard, room = np.empty(count), (np.zeros((count, count), np.int64), np.zeros((count, count)))
    flags = (np.zeros(count, bool), np.zeros(count, bool))
    _jaccard(order, distance, options["k1"], round(options["k1"] / 2), options["k2"], *room, *flags, jaccard)
    return np.asarray((1 - weight) * jaccard[1:] + weight * distance[0, 1:], np.float64)


# Plain loops: whole-row expressions take numba several times longer to compile.
@numba.njit(nogil=True, cache=True)
def _jaccard(order, distance, k1, half, k2, place, vectors, near, kept, out):  # type: ignore[no-untyped-def]
    """Write the Jaccard distance of everyone to the first; ``place`` and ``vectors`` (count, count) are zeroed room."""
    count = order.shape[0]
    for p in range(count):
        for r in range(count):
            place[p, order[p, r]] = r
    for p in range(count):
        for g in range(count):
            near[g] = place[p, g] <= k1 and place[g, p] <= k1
            kept[g] = near[g]
        for g in range(count):
            if not near[g]:
                continue
            size, common = 0, 0
            for r in range(min(half + 1, count)):
                c = order[g, r]
                if place[c, g] <= half:
                    size += 1
                    common += near[c]
            if 3 * common >= 2 * size:
                for r in range(min(half + 1, count)):
                    c = order[g, r]
                    if place[c, g] <= half:
                        kept[c] = True
        total = 0.0
        for g in range(count):
            if kept[g]:
                vectors[p, g] = np.exp(-distance[p, g])
                total += vectors[p, g]
        for g in range(count):
            if kept[g]:
                vectors[p, g] /= total
    neighbours = min(k2, count)
    for p in range(count):
        shared = 0.0
        for g in range(count):
            first, own = 0.0, 0.0
            for r in range(neighbours):
                first += vectors[order[0, r], g]
                own += vectors[order[p, r], g]
            shared += min(first, own) / neighbours
        out[p] = 1.0 - shared / (2.0 - shared)


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
