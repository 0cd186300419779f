"""Train quantisers of faiss on a bounded, seeded sample."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from aeret.embeddings.distances import Vectors
from aeret.rng import derive, generator

_ITERATIONS = 10
_PER_CENTROID = 64
"""Training vectors per centroid; more lower the distortion by little."""
_LEAST_SAMPLE, _OPQ_SAMPLE, _OPQ_ROUNDS = 16_384, 16_384, 10


def sample(vectors: Vectors, least: int, most: int, seed: int, purpose: str) -> Vectors:
    """Return at most ``most`` of the vectors in their order, or all, repeated until there are ``least``."""
    if len(vectors) > most:
        chosen = np.sort(generator(seed, "index", purpose).choice(len(vectors), most, replace=False))
        return np.ascontiguousarray(vectors[chosen])
    return np.resize(vectors, (least, vectors.shape[1])) if len(vectors) < least else vectors


def train_centroids(vectors: Vectors, k: int, seed: int, purpose: str) -> Vectors:
    """Return ``k`` centroids of a sample, float32 (k, d); ``k`` is at most the number of vectors."""
    trainer = faiss.Kmeans(vectors.shape[1], k, **_clustering(seed, purpose))
    trainer.train(sample(vectors, k, k * _PER_CENTROID, seed, purpose))
    return np.array(trainer.centroids, np.float32).reshape(k, -1)


def train(index: Any, vectors: Vectors, codebook: int, seed: int, purpose: str) -> None:
    """Train an index of faiss whose largest codebook has ``codebook`` centroids, 0 without one."""
    quantiser = None
    for part in _parts(index):
        _seed(part, seed, purpose)
        if isinstance(part, faiss.OPQMatrix):
            # Rotations settle early; the 50 rounds of faiss take minutes.
            part.niter, part.max_train_points = _OPQ_ROUNDS, _OPQ_SAMPLE
            # The rotation is trained with 256 centroids a part, however few the codes have.
            codebook = max(codebook, 256)
            quantiser = faiss.ProductQuantizer(vectors.shape[1], part.M, 8)
            _seed(quantiser, seed, purpose)
            part.pq, part.niter_pq = quantiser, 4
    index.train(sample(vectors, codebook, max(_LEAST_SAMPLE, codebook * _PER_CENTROID), seed, purpose))
    for part in _parts(index):
        if isinstance(part, faiss.OPQMatrix):
            part.pq = None  # ours, and gone with this call


def _clustering(seed: int, purpose: str) -> dict[str, Any]:
    return {
        "niter": _ITERATIONS,
        "seed": derive(seed, "index", purpose) & 0x7FFFFFFF,
        "min_points_per_centroid": 1,  # no warnings on standard error
        "max_points_per_centroid": _PER_CENTROID,
    }


def _seed(part: Any, seed: int, purpose: str) -> None:
    """Set how a quantiser clusters, as do the product quantiser and the lists inside it."""
    holders: list[Any] = [part, getattr(part, "pq", None)]
    for holder in holders:
        if hasattr(holder, "cp"):
            for name, value in _clustering(seed, purpose).items():
                setattr(holder.cp, name, value)


def _parts(index: Any) -> list[Any]:
    """Return an index and what it is made of: transforms, and the index behind them."""
    if not isinstance(index, faiss.IndexPreTransform):
        return [index]
    held: Any = index.chain
    chain = [faiss.downcast_VectorTransform(held.at(place)) for place in range(held.size())]
    return [index, *chain, *_parts(faiss.downcast_index(index.index))]
