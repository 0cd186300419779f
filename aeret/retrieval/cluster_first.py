"""Search the nearest cluster first, then the next, until N results are found (the paper's search).

The rule has two readings. ``sequential`` is the literal one: all of the nearest cluster's results, ranked inside it,
then the next cluster's. ``pooled`` visits clusters until at least N vectors are found and then ranks them together.
They are the same when the nearest cluster holds N or more.
"""

from __future__ import annotations

from typing import Self

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.cores import cores
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, faiss_threads, nearest_rows
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.retrieval.exhaustive import checked_gallery, checked_queries
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.smallest import sort_smallest

ORDERS: dict[str, bool] = {"sequential": False, "pooled": True}
"""Reading of the rule to whether the clusters visited are ranked together."""

_AHEAD = 2  # clusters put in order for every query; the few that want more order the rest for themselves
_FEW = 4  # queries up to which a matrix product of queries and centroids does not pay, nor does a thread
_LEAST, _MOST = 32, 256  # queries of one call of the kernel
_SHIFT, _ROW = np.uint64(32), np.uint64(0xFFFFFFFF)


class ClusterFirst:
    """Prepare a gallery for cluster-first search.

    Args:
        gallery: float32 (g, d).
        clustering: of the gallery.
        copy: whether to copy the gallery cluster by cluster, float32 (g, d), which makes searches faster; without,
            members are read where they are.

    Raises:
        UsageError: shapes do not fit, or values are not finite.

    Example:
        >>> from aeret.clustering.kmeans import fit_kmeans
        >>> gallery = np.eye(4, dtype=np.float32)
        >>> ClusterFirst(gallery, fit_kmeans(gallery, 2, seed=0)).search(gallery[:1], 1).rows.tolist()
        [[0]]
    """

    def __init__(self, gallery: NDArray[np.floating], clustering: Clustering, *, copy: bool = True) -> None:
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
        rows = clustering.members()[1]
        self._prepare(gallery[rows] if copy else gallery, clustering, np.arange(len(rows)) if copy else rows)

    @classmethod
    def of_members(cls, members: Vectors, clustering: Clustering) -> Self:
        """Return the search of a gallery that was copied before, float32 (g, d), cluster by cluster; unchecked."""
        made = cls.__new__(cls)
        made._prepare(members, clustering, np.arange(len(members)))
        return made

    def _prepare(self, vectors: Vectors, clustering: Clustering, places: NDArray[np.int64]) -> None:
        offsets, self._rows = clustering.members()
        occupied = offsets[1:] > offsets[:-1]
        self._centroids = np.ascontiguousarray(clustering.centroids[occupied], np.float32)
        self._offsets = np.append(offsets[:-1][occupied], len(self._rows))
        self._vectors, self._places = vectors, places

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
            probes: ``pooled`` visits at least this many clusters with members, also when fewer hold N. That buys
                recall, up to exact search. In the ``sequential`` order clusters beyond those that gave the N results
                cannot change them, so ``probes`` has no effect.
            threads: 0 means one per core.
            progress: shows queries done.

        Raises:
            UsageError: shapes do not fit, values are not finite, or ``exclude`` points outside the gallery.
        """
        queries, exclude, n = checked_queries(queries, self._vectors, exclude, n)
        pooled = lookup(ORDERS, order, "cluster-first order")
        if probes < 1:
            raise UsageError(f"A cluster-first search visits at least one cluster, got probes={probes}.")
        least = min(probes, len(self._centroids)) if pooled else 1
        keys = np.empty((len(queries), n), np.uint64)
        scanned, visited = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.int64)
        few = len(queries) <= _FEW
        ahead = 0 if few or not n else min(len(self._centroids), max(least, _AHEAD))
        with faiss_threads(threads):
            first = nearest_rows(queries, self._centroids, ahead)[0]
        # Queries of one cluster go together: they read the same members, which then stay in the cache.
        sequence = np.argsort(first[:, 0], kind="stable") if ahead else np.arange(len(queries))

        def work(start: int, stop: int) -> None:
            index = (self._centroids, self._offsets, self._vectors, self._places, self._rows)
            _search(queries, sequence[start:stop], first, *index, exclude, pooled, least, keys, scanned, visited)

        size = min(_MOST, max(_LEAST, -(-len(queries) // (threads or cores()))))
        with progress(f"cluster-first search, {order}", len(queries), unit="query") as step:
            for _ in over_blocks(len(queries), size, work, threads, step):
                pass
        squared = (keys >> _SHIFT).astype(np.uint32).view(np.float32)
        return Ranking((keys & _ROW).astype(np.int64), np.sqrt(squared), scanned, visited)


# reassoc lets the compiler sum in vector lanes; NaN and infinity have been refused before.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"}, error_model="numpy")
def squared_distance(a, b):  # type: ignore[no-untyped-def]
    """Return the squared distance of two float32 vectors."""
    total = np.float32(0.0)
    for t in range(a.shape[0]):
        step = a[t] - b[t]
        total += step * step
    return total


@numba.njit(nogil=True, cache=True)
def _search(  # type: ignore[no-untyped-def]
    queries, which, first, centroids, offsets, vectors, places, rows, exclude, pooled, least, keys, scanned, visited
):
    clusters, results = centroids.shape[0], keys.shape[1]
    pool = np.empty(rows.shape[0], np.uint64)
    far = np.empty(clusters, np.float32)
    for i in which:
        found = probes = 0
        while found < results or (probes < least and results > 0):
            if probes < first.shape[1]:
                c = first[i, probes]
            else:
                if probes == first.shape[1]:
                    _order_rest(queries[i], centroids, first[i], far)
                c = np.argmin(far)
                far[c] = np.inf
            probes += 1
            start = found
            found += _score(queries[i], vectors, places, rows, offsets[c], offsets[c + 1], exclude[i], pool[found:])
            if not pooled:
                sort_smallest(pool[start:found], min(found, results) - start)
        if pooled:
            sort_smallest(pool[:found], results)
        keys[i] = pool[:results]
        scanned[i], visited[i] = found, probes


@numba.njit(nogil=True, cache=True)
def _order_rest(query, centroids, done, far):  # type: ignore[no-untyped-def]
    for c in range(centroids.shape[0]):
        far[c] = squared_distance(query, centroids[c])
    for c in done:
        far[c] = np.inf


@numba.njit(nogil=True, cache=True)
def _score(query, vectors, places, rows, start, stop, exclude, keys):  # type: ignore[no-untyped-def]
    """Write a key for each of a cluster's members and return how many: the bits of the distance, then the row.

    The bits of a non-negative float32 order like the number, so keys order by distance and then by row.
    """
    distance = np.empty(1, np.float32)
    bits = distance.view(np.uint32)
    written = 0
    for j in range(start, stop):
        distance[0] = squared_distance(query, vectors[places[j]])
        keys[written] = (np.uint64(bits[0]) << _SHIFT) | np.uint64(rows[j])
        written += rows[j] != exclude
    return written
