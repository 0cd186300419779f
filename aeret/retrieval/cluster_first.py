"""Search the nearest cluster first, then the next, until N results are found (the paper's search).

The rule has two readings. ``sequential`` is the literal one: all of the nearest cluster's results, ranked inside it,
then the next cluster's. ``pooled`` visits clusters until at least N vectors are found and then ranks them together.
"""

from __future__ import annotations

from typing import Self

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, faiss_threads, nearest_rows, squared_distances
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.retrieval.exhaustive import checked_gallery, checked_queries
from aeret.retrieval.ranking import Ranking

ORDERS: dict[str, bool] = {"sequential": False, "pooled": True}
"""Reading of the rule to whether the clusters visited are ranked together."""
_QUERIES_AT_ONCE = 64
_SHIFT, _ROW = np.uint64(32), np.uint64(0xFFFFFFFF)


class ClusterFirst:
    """Prepare a gallery for cluster-first search, by a copy of it in order of cluster.

    Args:
        gallery: float32 (g, d).
        clustering: of the gallery.

    Raises:
        UsageError: shapes do not fit, or values are not finite.

    Example:
        >>> from aeret.clustering.kmeans import fit_kmeans
        >>> gallery = np.eye(4, dtype=np.float32)
        >>> ClusterFirst(gallery, fit_kmeans(gallery, 2, seed=0)).search(gallery[:1], 1).rows.tolist()
        [[0]]
    """

    def __init__(self, gallery: NDArray[np.floating], clustering: Clustering) -> None:
        gallery = checked_gallery(gallery)
        checked(clustering.centroids, "Centroids", gallery.shape[1])
        assignment, clusters = clustering.assignment, len(clustering.centroids)
        if len(assignment) != len(gallery):
            raise UsageError(f"A clustering of {len(assignment)} vectors does not fit a gallery of {len(gallery)}.")
        if len(assignment) and not (assignment.min() >= 0 and assignment.max() < clusters):
            raise UsageError(
                f"A clustering of {clusters} clusters assigns numbers from {assignment.min()} to "
                f"{assignment.max()}; they must lie between 0 and {clusters - 1}."
            )
        self._prepare(gallery[clustering.members()[1]], clustering)

    @classmethod
    def of_members(cls, members: Vectors, clustering: Clustering) -> Self:
        """Return the search of vectors that lie in order of cluster already, float32 (g, d); unchecked."""
        made = cls.__new__(cls)
        made._prepare(members, clustering)
        return made

    def _prepare(self, members: Vectors, clustering: Clustering) -> None:
        offsets, self._rows = clustering.members()
        occupied = offsets[1:] > offsets[:-1]
        self._centroids = np.ascontiguousarray(clustering.centroids[occupied], np.float32)
        self._offsets = np.append(offsets[:-1][occupied], len(self._rows))
        self._members = members

    def __len__(self) -> int:
        return len(self._rows)

    def search(
        self,
        queries: NDArray[np.floating],
        n: int,
        order: str = "sequential",
        exclude: NDArray[np.integer] | None = None,
        probes: int = 1,
        *,
        threads: int = 0,
        progress: Progress = silent,
    ) -> Ranking:
        """Return ``n`` gallery vectors for each query, nearest cluster first; ties by row, equal clusters by number.

        Args:
            queries: float32 (q, d).
            n: results per query; fewer if the gallery holds fewer.
            order: ``sequential`` or ``pooled``.
            exclude: gallery row left out of each query's results (the query itself), or -1; int64 (q,).
            probes: least clusters with members that ``pooled`` visits; ``sequential`` ignores it.
            threads: 0 means one per core.
            progress: shows queries done.

        Raises:
            UsageError: shapes do not fit, values are not finite, or ``exclude`` points outside the gallery.
        """
        queries, exclude, n = checked_queries(queries, self._members, exclude, n)
        pooled = lookup(ORDERS, order, "cluster-first order")
        if probes < 1:
            raise UsageError(f"A cluster-first search visits at least one cluster, got probes={probes}.")
        least = min(probes, len(self._centroids)) if pooled else 1
        keys = np.empty((len(queries), n), np.uint64)
        counted = np.zeros((2, len(queries)), np.int64)

        # Queries of one cluster go together: they read the same members, which then stay in the cache.
        with faiss_threads(threads):
            first = nearest_rows(queries, self._centroids, min(1, len(self._centroids)))[0]
        sequence = np.argsort(first.sum(axis=1), kind="stable")

        def work(start: int, stop: int) -> None:
            which = sequence[start:stop]
            with faiss_threads(1):
                far = squared_distances(queries[which], self._centroids)
            own, count = np.empty((len(which), n), np.uint64), np.zeros((2, len(which)), np.int64)
            index = (self._offsets, self._members, self._rows)
            _search(queries[which], far, *index, exclude[which], pooled, least, own, count)
            keys[which], counted[:, which] = own, count

        with progress(f"cluster-first search, {order}", len(queries), unit="query") as step:
            for _ in over_blocks(len(queries), _QUERIES_AT_ONCE, work, threads, step):
                pass
        squared = (keys >> _SHIFT).astype(np.uint32).view(np.float32)
        return Ranking((keys & _ROW).astype(np.int64), np.sqrt(squared), *counted)


# reassoc lets the compiler sum in vector lanes; NaN and infinity have been refused before.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def _squared_distance(a, b):  # type: ignore[no-untyped-def]
    total = np.float32(0.0)
    for t in range(a.shape[0]):
        step = a[t] - b[t]
        total += step * step
    return total


@numba.njit(nogil=True, cache=True)
def _search(queries, far, offsets, members, rows, exclude, pooled, least, keys, counted):  # type: ignore[no-untyped-def]
    """Write each query's results as keys: the bits of the distance, which order as it does, then the row."""
    results = keys.shape[1]
    pool = np.empty(rows.shape[0], np.uint64)
    distance = np.empty(1, np.float32)
    bits = distance.view(np.uint32)
    for i in range(queries.shape[0]):
        found = probes = 0
        while found < results or (probes < least and results > 0):
            c = np.argmin(far[i])
            far[i, c] = np.inf
            probes += 1
            start = found
            for j in range(offsets[c], offsets[c + 1]):
                distance[0] = _squared_distance(queries[i], members[j])
                pool[found] = (np.uint64(bits[0]) << _SHIFT) | np.uint64(rows[j])
                found += rows[j] != exclude[i]
            if not pooled:
                _sort_first(pool[start:found], results - start)
        if pooled:
            _sort_first(pool[:found], results)
        keys[i] = pool[:results]
        counted[0, i], counted[1, i] = found, probes


@numba.njit(nogil=True, cache=True)
def _sort_first(keys, count):  # type: ignore[no-untyped-def]
    """Bring the smallest ``count`` keys to the front, in order."""
    if 0 < count < keys.shape[0]:
        keys[:] = np.partition(keys, count - 1)
    keys[:count].sort()
