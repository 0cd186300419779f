"""Reduce vectors to their principal axes on the train photos."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy.linalg

from aeret.embeddings.classic.feature import Vectors
from aeret.errors import UsageError


def project_on_axes(vectors: Vectors, fitted: Mapping[str, Vectors]) -> Vectors:
    """Return float32 (n, k) for float32 (n, d) and what :func:`fit_principal_axes` fitted."""
    return np.asarray((vectors - fitted["mean"]) @ fitted["axes"], np.float32)


def fit_principal_axes(vectors: Vectors, count: int) -> dict[str, Vectors]:
    """Fit ``mean`` (d,) and at most ``count`` orthonormal ``axes`` (d, k), most variance first.

    Args:
        vectors: float32 (n, d).
        count: axes; fewer if n or d is smaller.

    Raises:
        UsageError: there are fewer than two vectors.
    """
    if vectors.ndim != 2 or len(vectors) < 2:
        raise UsageError(f"Principal axes need at least two vectors (n, d); got an array of shape {vectors.shape}.")
    count = min(count, vectors.shape[1], len(vectors) - 1)
    mean = vectors.mean(axis=0, dtype=np.float64)
    centred = vectors - mean.astype(np.float32)
    last = vectors.shape[1] - 1
    _, axes = scipy.linalg.eigh((centred.T @ centred).astype(np.float64), subset_by_index=(last - count + 1, last))
    axes = axes[:, ::-1]
    # An axis has no sign of its own; the largest entry is made positive so that every machine gives the same.
    axes = axes * np.where(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0) < 0, -1, 1)
    return {"mean": mean.astype(np.float32), "axes": axes.astype(np.float32)}
