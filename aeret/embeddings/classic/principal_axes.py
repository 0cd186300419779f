"""Principal axes of the train photos' vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from aeret.embeddings.classic.feature import Vectors
from aeret.errors import UsageError


@dataclass(frozen=True)
class PrincipalAxes:
    """A mean, and the directions in which vectors differ most from it."""

    mean: Vectors
    """float32 (d,)."""
    axes: Vectors
    """float32 (d, k), orthonormal, most variance first."""

    def project(self, vectors: Vectors) -> Vectors:
        """Return float32 (n, k) for float32 (n, d)."""
        return np.asarray((vectors - self.mean) @ self.axes, np.float32)


def fit_principal_axes(vectors: Vectors, count: int) -> PrincipalAxes:
    """Fit at most ``count`` axes to vectors float32 (n, d); fewer where n or d is smaller.

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
    return PrincipalAxes(mean.astype(np.float32), axes.astype(np.float32))
