"""Principal components of sparse binary masks, without ever holding them densely.

Randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4) on the centred matrix, the centring done
in the products, so memory grows with the covered cells and not with cells times channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aeret.errors import UsageError
from aeret.rng import generator

Floats = npt.NDArray[np.float32]
_OVERSAMPLING = 16
_ITERATIONS = 4


@dataclass(frozen=True)
class PrincipalComponents:
    """The mean of some vectors and the orthonormal directions in which they vary most."""

    mean: Floats
    """float32 (n,)."""
    axes: Floats
    """float32 (m, n), orthonormal rows, the most varying first."""
    deviations: Floats
    """float32 (m,): standard deviation along each axis, divisor = number of vectors."""

    def encode(self, vectors: Floats) -> Floats:
        """Return the coordinates float32 (b, m) of float32 (b, n) vectors."""
        coordinates: Floats = ((vectors - self.mean) @ self.axes.T).astype(np.float32, copy=False)
        return coordinates

    def decode(self, coordinates: Floats) -> Floats:
        """Return the vectors float32 (b, n) at coordinates (b, m)."""
        vectors: Floats = coordinates @ self.axes + self.mean
        return vectors


def principal_components(rows: Any, count: int, seed: int) -> PrincipalComponents:
    """Find the first principal components.

    Args:
        rows: (k, n) ``scipy.sparse`` matrix, or array, of k vectors.
        count: how many components; fewer come back where k - 1 or n is smaller.
        seed: of the random start; the result depends on it only by rounding where the spectrum falls.

    Raises:
        UsageError: there are fewer than two vectors, or ``count`` is not positive.
    """
    if rows.shape[0] < 2 or count < 1:
        raise UsageError(f"principal components need at least 2 vectors and 1 component, got {rows.shape[0]}, {count}.")
    return _principal_components(rows.astype(np.float32), min(count, rows.shape[0] - 1, rows.shape[1]), seed)


def _principal_components(rows: Any, count: int, seed: int) -> PrincipalComponents:
    vectors, length = rows.shape
    mean = np.asarray(rows.mean(axis=0), np.float32).ravel()
    columns = rows.T.tocsr() if hasattr(rows, "tocsr") else rows.T
    width = min(count + _OVERSAMPLING, vectors, length)
    block: Floats = generator(seed, "principal-components").standard_normal((length, width), np.float32)
    for _ in range(_ITERATIONS):
        span, _ = np.linalg.qr(rows @ block - mean @ block)
        block = columns @ span - np.outer(mean, span.sum(axis=0))
    # span^T X = block^T; its right singular vectors are the components. float64: the Gram matrix squares the spectrum.
    values, turn = np.linalg.eigh(block.T.astype(np.float64) @ block)
    order = np.argsort(values)[::-1][:count]
    values = np.maximum(values[order], 0.0)
    axes = (block @ turn[:, order] / np.sqrt(np.maximum(values, 1e-12))).T
    keep = values > 1e-10 * max(values[0], 1e-12)
    deviations = np.sqrt(values[keep] / vectors)
    return PrincipalComponents(mean, axes[keep].astype(np.float32), deviations.astype(np.float32))
