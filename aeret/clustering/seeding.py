"""The first centroids: greedy k-means++ in rounds.

k-means++ (Arthur and Vassilvitskii 2007) draws each centroid with a chance in proportion to the squared distance to
the nearest so far; greedy, it draws several and keeps the one that leaves the least. Drawn one by one that reads all
vectors for every centroid. Here a round draws 32 candidates, computes all their distances in one product, and keeps the
best one after the other: at most eight, and at most one for every 32 centroids that are there, so that none is drawn
with chances that are much out of date.

Distances of wide vectors are taken in their 64 leading directions (Ding and He 2004: the clusters lie in these): what
is left out is mostly noise, which k-means++ would draw for being far from everything. Where it is not, seeds are a
little worse (docs/decisions/0006-k-means.md).
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors
from aeret.embeddings.one_thread import one_blas_thread

_CANDIDATES, _KEPT, _SHARE = 32, 8, 32
_DIRECTIONS, _WIDE, _POWER_ITERATIONS = 64, 128, 2
# Rounds over few vectors take less than starting threads for them.
_BLOCK = 8192


def seed_centroids(vectors: Vectors, k: int, rng: np.random.Generator, threads: int = 0) -> Vectors:
    """Return k of the vectors as centroids, float32 (k, d).

    Args:
        vectors: checked, float32 (n, d).
        k: at most n.
        rng: draws the candidates, and the start of the search for leading directions.
        threads: 0 means one per core; never changes the result.
    """
    # One BLAS thread: products on several add in another order.
    with one_blas_thread():
        # Products cancel less around the mean.
        centred = _leading(vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32), rng)
        norms = np.einsum("ij,ij->i", centred, centred)
        chosen = [int(rng.integers(len(vectors)))]
        nearest = _distances(centred, norms, np.array(chosen), threads)[0]
        while len(chosen) < k:
            cumulated = np.cumsum(nearest, dtype=np.float64)
            drawn = np.searchsorted(cumulated, rng.random(_CANDIDATES) * cumulated[-1], side="right")
            # A row once: nothing is left of it to gain a second time. Where all is covered, any will do.
            rows = np.unique(drawn.clip(max=len(vectors) - 1))
            distances = _distances(centred, norms, rows, threads)
            for _ in range(min(len(rows), k - len(chosen), max(1, min(_KEPT, len(chosen) // _SHARE)))):
                best = int(_left(nearest, distances).argmin())
                chosen.append(int(rows[best]))
                np.minimum(nearest, distances[best], out=nearest)
    return vectors[chosen]


def _leading(centred: Vectors, rng: np.random.Generator) -> Vectors:
    """Return the vectors in their leading directions, float32 (n, 64), where they are wide; else as they are."""
    if centred.shape[1] < _WIDE or len(centred) <= _DIRECTIONS:
        return centred
    # Subspace iteration (Halko et al. 2011), among the columns: QR of n rows would take longer than the rest.
    directions = rng.standard_normal((centred.shape[1], _DIRECTIONS), dtype=np.float32)
    for _ in range(_POWER_ITERATIONS):
        along = centred @ directions
        # Only the directions matter: scaled, or the products of large vectors overflow.
        directions = np.linalg.qr(centred.T @ (along / max(np.abs(along).max(), np.float32(1e-30))))[0]
    return np.asarray(centred @ directions, np.float32)


def _distances(centred: Vectors, norms: Vectors, rows: NDArray[np.int64], threads: int) -> Vectors:
    """Return squared distances of some vectors to all, float32 (len(rows), n), up to the rounding of products."""
    out = np.empty((len(rows), len(centred)), np.float32)

    def work(start: int, stop: int) -> None:
        _finish(centred[rows] @ centred[start:stop].T, norms[rows], norms[start:stop], out[:, start:stop])

    for _ in over_blocks(len(centred), _BLOCK, work, threads):
        pass
    out[np.arange(len(rows)), rows] = 0
    return out


@numba.njit(nogil=True, cache=True)
def _finish(products, left, right, out):  # type: ignore[no-untyped-def]
    """Write squared distances from products and squared norms, in one pass."""
    for i in range(products.shape[0]):
        for j in range(products.shape[1]):
            out[i, j] = max(np.float32(0), left[i] + right[j] - np.float32(2) * products[i, j])


# reassoc lets the compiler sum in vector lanes, in an order that depends on the length alone.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def _left(nearest, distances):  # type: ignore[no-untyped-def]
    """Return the sum of distances to the nearest centroid that each candidate would leave, float64 (candidates,)."""
    out = np.empty(distances.shape[0], np.float64)
    for i in range(distances.shape[0]):
        total = np.float64(0)
        for j in range(distances.shape[1]):
            total += np.float64(min(nearest[j], distances[i, j]))
        out[i] = total
    return out
