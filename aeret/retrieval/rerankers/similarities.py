"""Cosines whose last bit depends on the two vectors alone, so that no order depends on batch or threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import Vectors, raw_distances
from aeret.embeddings.normalise import l2_normalise

Scores = NDArray[np.float64]


def similarities(ours: Vectors, theirs: Vectors) -> Vectors:
    """Return dot products float32 (n, m) of vectors (n, d) and (m, d); cosines where both have length 1."""
    return np.negative(raw_distances(ours, theirs, dot=True))


def unlikeness(query: Vectors, vectors: Vectors) -> Scores:
    """Return 1 - cosine, float64 (k,), of a vector (d,) and vectors (k, d), all of length 1."""
    return np.asarray(1.0 - similarities(query[None], vectors)[0].astype(np.float64), np.float64)


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Return one vector (d,), or several (n, d), scaled to length 1, float32; zeros stay zeros."""
    return l2_normalise(vectors.reshape(-1, vectors.shape[-1])).reshape(vectors.shape)
