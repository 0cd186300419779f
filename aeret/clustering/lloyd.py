"""Lloyd's iterations among each vector's nearest centroids, with a search of all only where that may tell more.

A search of all centroids keeps the few nearest of each vector. The iterations that follow choose among these alone, and
look at a vector only where bounds that move with the centroids (Hamerly 2010) let its label change: an upper one on the
distance to its own centroid, a lower one on that to the others it keeps. Bounds give way by more than rounding, and
what decides are squared distances summed in a fixed order, ties to the lowest centroid: so the labels are the same for
any number of threads, and after a search of all they are those of the nearest centroids.
"""

from __future__ import annotations

from dataclasses import dataclass

import faiss
import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, squared_distance
from aeret.embeddings.one_thread import one_thread

_BLOCK, _COLUMNS, _ROWS = 4096, 64, 4096
_KEPT, _SEARCHED = 6, 2
_ROUNDING = 2.0**-24
_ONE_MORE, _ONE_LESS = np.float32(1 + 2.0**-22), np.float32(1 - 2.0**-22)
_INFINITE = np.float32(np.inf)


@dataclass
class Lloyd:
    """Vectors on their way to clusters."""

    vectors: Vectors
    centroids: Vectors
    labels: NDArray[np.int32]
    """int32 (n,)."""
    threads: int
    _kept: NDArray[np.int32]
    """Some nearest centroids of each vector, the own one among them, int32 (n, m)."""
    _own: Vectors
    """At least the distance (no square) to the own centroid, float32 (n,)."""
    _others: Vectors
    """At most the distance to the nearest other one in ``_kept``, float32 (n,)."""
    _sums: NDArray[np.float64]
    _sizes: NDArray[np.int64]
    _norms: Vectors
    """Squared norm of each vector, float32 (n,)."""
    _squares: float
    """Sum of all squared values."""

    def inertia(self) -> float:
        """Return the sum of squared distances to the means of the clusters (to the centroids after the next move)."""
        own = (self._sums**2).sum(axis=1) / np.maximum(self._sizes, 1)
        return max(0.0, self._squares - float(own.sum()))

    def empties(self) -> int:
        """Return how many clusters have no vector."""
        return int((self._sizes == 0).sum())

    @property
    def complete(self) -> bool:
        """Whether every vector keeps all centroids, so that every iteration is a search of all."""
        return bool(self._kept.shape[1] == len(self.centroids))

    def iterate(self, everywhere: bool, renew: bool = True) -> int:
        """Move the centroids to the means, then each vector to the nearest; return how many vectors changed.

        Args:
            everywhere: the nearest of all, not only of those that a vector keeps.
            renew: whether vectors then keep those that are nearest now; else only the nearest joins those they keep,
                which takes half the time.
        """
        moved = moved_centroids(self.vectors, self.labels, self.centroids, self._sums, self._sizes, self.threads)
        steps = np.sqrt(((moved.astype(np.float64) - self.centroids) ** 2).sum(axis=1)).astype(np.float32) * _ONE_MORE
        self.centroids, before = moved, self.labels.copy()
        count = self._kept.shape[1] if renew else _SEARCHED
        slack = np.float32(1 + 4 * (self.vectors.shape[1] + 4) * _ROUNDING)

        def work(start: int, stop: int) -> None:
            part = slice(start, stop)
            state = self._kept[part], self.labels[part], self._own[part], self._others[part]
            if everywhere and not self.complete:
                _search(self.vectors[part], self._norms[part], moved, count, *state)
            else:
                _follow(self.vectors[part], moved, steps, slack, *state)

        for _ in over_blocks(len(self.vectors), _BLOCK, work, self.threads):
            pass
        rows = np.flatnonzero(self.labels != before)
        for labels, sign in ((before, -1), (self.labels, 1)):
            _add_to_sums(self.vectors, rows, labels[rows], sign, self._sums, self.threads)
            np.add.at(self._sizes, labels[rows], sign)
        return len(rows)


def start_lloyd(vectors: Vectors, centroids: Vectors, threads: int = 0) -> Lloyd:
    """Assign checked vectors, float32 (n, d), to the nearest of checked centroids, float32 (k, d)."""
    count, k = len(vectors), len(centroids)
    labels, kept = np.empty(count, np.int32), np.empty((count, min(_KEPT, k)), np.int32)
    own, others, norms = (np.empty(count, np.float32) for _ in range(3))

    def work(start: int, stop: int) -> float:
        part = slice(start, stop)
        np.einsum("ij,ij->i", vectors[part], vectors[part], out=norms[part])
        _search(vectors[part], norms[part], centroids, kept.shape[1], kept[part], labels[part], own[part], others[part])
        return float(norms[part].sum(dtype=np.float64))

    squares = sum(over_blocks(count, _BLOCK, work, threads))
    sums = np.zeros(centroids.shape, np.float64)
    _add_to_sums(vectors, np.arange(count), labels, 1, sums, threads)
    sizes = np.bincount(labels, minlength=k).astype(np.int64)
    return Lloyd(vectors, centroids, labels, threads, kept, own, others, sums, sizes, norms, squares)


def own_distances(vectors: Vectors, centroids: Vectors, labels: NDArray[np.int32], threads: int = 0) -> Vectors:
    """Return the squared distance of each vector to the centroid of its label, float32 (n,)."""
    out = np.empty(len(vectors), np.float32)

    def work(start: int, stop: int) -> None:
        _own_distances(vectors[start:stop], centroids, labels[start:stop], out[start:stop])

    for _ in over_blocks(len(vectors), _BLOCK, work, threads):
        pass
    return out


def moved_centroids(
    vectors: Vectors,
    labels: NDArray[np.int32],
    centroids: Vectors,
    sums: NDArray[np.float64],
    sizes: NDArray[np.int64],
    threads: int = 0,
) -> Vectors:
    """Return the means of the members; empty clusters move to the vectors farthest from their centroids."""
    moved = (sums / np.maximum(sizes, 1)[:, None]).astype(np.float32)
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        moved[empty] = centroids[empty]
        distances = own_distances(vectors, centroids, labels, threads)
        farthest = np.argsort(-distances, kind="stable")[: len(empty)]
        farthest = farthest[distances[farthest] > 0]
        moved[empty[: len(farthest)]] = vectors[farthest]
    return moved


def _search(
    vectors: Vectors,
    norms: Vectors,
    centroids: Vectors,
    count: int,
    kept: NDArray[np.int32],
    labels: NDArray[np.int32],
    own: Vectors,
    others: Vectors,
) -> None:
    """Search all centroids for ``count`` nearest; write which are kept, labels and bounds."""
    with one_thread():
        rough, found = faiss.knn(vectors, centroids, count)
    found = found.astype(np.int32)
    if count == kept.shape[1]:
        kept[:] = found
    rounding = np.float32(2 * (vectors.shape[1] + 4) * _ROUNDING)
    _choose(vectors, norms, centroids, rough, found, rounding, kept, labels, own, others)


def _add_to_sums(
    vectors: Vectors,
    rows: NDArray[np.int64],
    labels: NDArray[np.int32],
    sign: int,
    sums: NDArray[np.float64],
    threads: int,
) -> None:
    def work(start: int, stop: int) -> None:
        _add(vectors, rows, labels, np.float64(sign), start, stop, sums)

    # Over columns, so that each sum stays in row order; few rows take less than starting threads for them.
    columns = _COLUMNS if len(rows) >= _ROWS else max(1, vectors.shape[1])
    for _ in over_blocks(vectors.shape[1], columns, work, threads):
        pass


@numba.njit(nogil=True, cache=True)
def _add(vectors, rows, labels, sign, first, last, sums):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        # Views, so that the inner loop runs in vector lanes.
        total, vector = sums[labels[i], first:last], vectors[rows[i], first:last]
        for t in range(last - first):
            total[t] += sign * vector[t]


@numba.njit(nogil=True, cache=True)
def _own_distances(vectors, centroids, labels, out):  # type: ignore[no-untyped-def]
    for i in range(vectors.shape[0]):
        out[i] = squared_distance(vectors[i], centroids[labels[i]])


@numba.njit(nogil=True, cache=True)
def _best(vector, centroids, rows):  # type: ignore[no-untyped-def]
    """Return the nearest of some centroids, its squared distance, and that of the second nearest."""
    best, nearest, second = np.int32(-1), _INFINITE, _INFINITE
    for j in range(rows.shape[0]):
        squared = squared_distance(vector, centroids[rows[j]])
        if squared < nearest or (squared == nearest and rows[j] < best):
            best, nearest, second = rows[j], squared, nearest
        elif squared < second:
            second = squared
    return best, nearest, second


@numba.njit(nogil=True, cache=True)
def _choose(vectors, norms, centroids, rough, found, rounding, kept, labels, own, others):  # type: ignore[no-untyped-def]
    """Pick the nearest centroid by exact distances where the products of faiss leave a doubt."""
    last = found.shape[1] - 1
    every = np.arange(centroids.shape[0]).astype(np.int32)
    for i in range(vectors.shape[0]):
        # The norm of a centroid this near is at most |vector| + distance.
        reach = 2 * np.sqrt(norms[i]) + np.sqrt(max(np.float32(0), rough[i, last]))
        slack = np.float32(rounding * reach * reach)
        doubtful = 1
        while doubtful <= last and rough[i, doubtful] <= rough[i, 0] + 2 * slack:
            doubtful += 1
        best, nearest, second = _best(vectors[i], centroids, found[i, :doubtful])
        if doubtful <= last:
            second = min(second, rough[i, doubtful] - slack)
        if last + 1 < centroids.shape[0] and nearest >= rough[i, last] - slack:
            best, nearest, second = _best(vectors[i], centroids, every)
        if not (kept[i] == best).any():
            kept[i, -1] = best
        labels[i], own[i], others[i] = best, np.sqrt(nearest), np.sqrt(max(np.float32(0), second))


@numba.njit(nogil=True, cache=True)
def _follow(vectors, centroids, steps, slack, kept, labels, own, others):  # type: ignore[no-untyped-def]
    """Move the bounds with the centroids, and choose among the kept ones where the bounds meet."""
    for i in range(vectors.shape[0]):
        label = labels[i]
        step = np.float32(0)
        for j in range(kept.shape[1]):
            if kept[i, j] != label:
                step = max(step, steps[kept[i, j]])
        own[i] = (own[i] + steps[label]) * _ONE_MORE
        others[i] = max(np.float32(0), others[i] - step) * _ONE_LESS
        if own[i] * slack < others[i]:
            continue
        own[i] = np.sqrt(squared_distance(vectors[i], centroids[label]))
        if own[i] * slack < others[i]:
            continue
        best, nearest, second = _best(vectors[i], centroids, kept[i])
        labels[i], own[i], others[i] = best, np.sqrt(nearest), np.sqrt(second)
