"""How quantisers are trained: on a bounded seeded sample, by faiss, on one thread, so that the seed decides."""

from __future__ import annotations

from typing import Any

import faiss
import numpy as np

from aeret.embeddings.distances import Vectors
from aeret.embeddings.one_thread import one_thread
from aeret.errors import UsageError
from aeret.rng import derive, generator

_ITERATIONS = 10
# Vectors per centroid: more lower the distortion by little.
_PER_CENTROID = 64


def sample(vectors: Vectors, least: int, most: int, seed: int, purpose: str) -> Vectors:
    """Return at most ``most`` of the vectors in their order, or all, repeated until there are ``least``."""
    if len(vectors) > most:
        chosen = np.sort(generator(seed, "index", purpose).choice(len(vectors), most, replace=False))
        return np.ascontiguousarray(vectors[chosen])
    return np.resize(vectors, (least, vectors.shape[1])) if len(vectors) < least else vectors


def train_centroids(vectors: Vectors, k: int, seed: int, purpose: str) -> Vectors:
    """Return ``k`` centroids of a sample, float32 (k, d); ``k`` is at most the number of vectors."""
    chosen = sample(vectors, k, k * _PER_CENTROID, seed, purpose)
    trainer = faiss.Kmeans(vectors.shape[1], k, **clustering_settings(seed, purpose))
    with one_thread():
        trainer.train(chosen)
    return np.array(trainer.centroids, np.float32).reshape(k, -1)


def clustering_settings(seed: int, purpose: str) -> dict[str, Any]:
    """Return the settings of faiss' clusterings: seeded, and silent where vectors are few."""
    return {
        "niter": _ITERATIONS,
        "seed": derive(seed, "index", purpose) & 0x7FFFFFFF,
        "min_points_per_centroid": 1,
        "max_points_per_centroid": _PER_CENTROID,
    }


def train_product(codec: Any, vectors: Vectors, seed: int, purpose: str) -> None:
    """Train a faiss index that holds a product quantiser ``pq``."""
    for name, value in clustering_settings(seed, purpose).items():
        setattr(codec.pq.cp, name, value)
    centroids = int(codec.pq.ksub)
    with one_thread():
        codec.train(sample(vectors, centroids, centroids * _PER_CENTROID, seed, purpose))


def parts_of(width: int, parts: int) -> int:
    """Return the number of parts that vectors are cut into; 0 means of about eight dimensions each.

    Raises:
        UsageError: the parts would not be equally wide.
    """
    divisors = [part for part in range(1, width + 1) if width % part == 0]
    if parts == 0:
        return max(part for part in divisors if part <= max(1, width // 8))
    if parts not in divisors:
        raise UsageError(f"Vectors of {width} dimensions cannot be cut into {parts} equal parts. Possible: {divisors}.")
    return parts


def bits_of(bits: int, allowed: tuple[int, ...], name: str) -> int:
    """Return ``bits``, if an index has codes of so many.

    Raises:
        UsageError: it has not.
    """
    if bits not in allowed:
        raise UsageError(f"bits of the index {name} must be one of {allowed}, got {bits}.")
    return bits
