"""Cluster-first top-N search (the paper's): nearest cluster first, then the next, until N results are found.

The rule has two readings. ``sequential`` is the literal one: all of the nearest cluster's results, ranked inside it,
then the next cluster's. ``pooled`` visits clusters until at least N vectors are found and then ranks them together.
They are the same when the nearest cluster holds N or more.

A search of the pooled order can be asked for a minimum of probes too: it visits at least so many clusters that have
members, also when fewer hold N. That buys recall, up to exact search when all are visited. In the sequential order a
cluster beyond those that gave the N results cannot change them, so none is visited, whatever the minimum.
"""

from __future__ import annotations

from typing import Self

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.cores import cores
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, decode, nearest_rows, squared_distance
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
_SHARE = 32  # queries that are worth a thread
_AT_ONCE = 1024  # queries in a block of such products, which want many
_SHIFT = np.uint64(32)


class ClusterFirst:
    """A gallery prepared for cluster-first search: checked once, and copied so that a cluster's members lie together.

    Args:
        gallery: float32 (g, d).
        clustering: of the gallery.
        copy: whether to copy the gallery cluster by cluster, float32 (g, d), which makes searches faster; without,
            members are read where they are.

    Raises:
        UsageError: shapes do not fit, or values are not finite.
    """

    def __init__(self, gallery: NDArray[np.floating], clustering: Clustering, *, copy: bool = True) -> None:
        gallery = checked_gallery(gallery)
        centroids = checked(clustering.centroids, "Centroids", gallery.shape[1])
        assignment = clustering.assignment
        if len(assignment) != len(gallery):
            raise UsageError(f"A clustering of {len(assignment)} vectors does not fit a gallery of {len(gallery)}.")
        if len(assignment) and not (assignment.min() >= 0 and assignment.max() < len(centroids)):
            raise UsageError(
                f"A clustering of {len(centroids)} clusters assigns numbers from {assignment.min()} to "
                f"{assignment.max()}; they must lie between 0 and {len(centroids) - 1}."
            )
        offsets, rows = clustering.members()
        self._vectors = gallery[rows] if copy else gallery
        self._prepare(centroids, offsets, rows, np.arange(len(gallery)) if copy else rows)

    @classmethod
    def of_members(
        cls, members: Vectors, centroids: Vectors, offsets: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> Self:
        """Return the search of a gallery that was copied before; nothing of it is read or checked.

        Args:
            members: float32 (g, d), cluster by cluster.
            centroids: float32 (k, d).
            offsets: see :meth:`Clustering.members`, int64 (k + 1,).
            rows: of the members, int64 (g,).
        """
        made = cls.__new__(cls)
        made._vectors = members
        made._prepare(centroids, offsets, rows, np.arange(len(rows)))
        return made

    def _prepare(
        self, centroids: Vectors, offsets: NDArray[np.int64], rows: NDArray[np.int64], places: NDArray[np.int64]
    ) -> None:
        occupied = offsets[1:] > offsets[:-1]
        self._centroids = np.ascontiguousarray(centroids[occupied])
        self._offsets = np.append(offsets[:-1][occupied], len(rows))
        self._rows, self._places = rows, places

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
        batch: int = 256,
        threads: int = 0,
        progress: Progress = silent,
    ) -> Ranking:
        """Return ``n`` gallery vectors for each query; see the function :func:`search`."""
        queries, exclude, n = checked_queries(queries, self._vectors, exclude, n)
        lookup(ORDERS, order, "cluster-first order")
        if probes < 1:
            raise UsageError(f"A cluster-first search visits at least one cluster, got probes={probes}.")
        found = self.search_checked(queries, n, order, exclude, probes, batch=batch, threads=threads, progress=progress)
        return Ranking(found.rows, np.sqrt(found.distances), found.scanned, found.probes)

    def search_checked(
        self,
        queries: Vectors,
        n: int,
        order: str,
        exclude: NDArray[np.int64],
        probes: int,
        *,
        batch: int = 256,
        threads: int = 0,
        progress: Progress = silent,
    ) -> Ranking:
        """Return what :meth:`search` does for arguments that have been checked, with squared distances."""
        pooled = ORDERS[order]
        least = min(probes, len(self._centroids)) if pooled else 1
        keys = np.empty((len(queries), n), np.uint64)
        scanned, visited = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.int64)
        few = len(queries) <= min(batch, _FEW)
        ahead = 0 if few or not n else min(len(self._centroids), max(least, _AHEAD))
        first = np.empty((len(queries), ahead), np.int64)

        def order_clusters(start: int, stop: int) -> None:
            first[start:stop] = nearest_rows(queries[start:stop], self._centroids, ahead)[0]

        def work(start: int, stop: int) -> None:
            index = (self._centroids, self._offsets, self._vectors, self._places, self._rows)
            _search(queries, sequence[start:stop], first, *index, exclude, pooled, least, keys, scanned, visited)

        with progress(f"cluster-first search, {order}", len(queries), unit="query") as step:
            if ahead:
                for _ in over_blocks(len(queries), _AT_ONCE, order_clusters, threads):
                    pass
                # Queries of one cluster go together: they read the same members, which then stay in the cache.
                sequence = np.argsort(first[:, 0], kind="stable")
            else:
                sequence = np.arange(len(queries))
            if few:
                work(0, len(queries))
                step(len(queries))
            else:
                share = max(_SHARE, -(-len(queries) // (threads or cores())))
                for _ in over_blocks(len(queries), min(batch, share), work, threads, step):
                    pass
        rows, squared = decode(keys)
        return Ranking(rows, squared, scanned, visited)


def search(
    queries: NDArray[np.floating],
    gallery: NDArray[np.floating],
    clustering: Clustering,
    n: int,
    order: str = "sequential",
    exclude: NDArray[np.integer] | None = None,
    probes: int = 1,
    *,
    batch: int = 256,
    threads: int = 0,
    progress: Progress = silent,
) -> Ranking:
    """Return ``n`` gallery vectors for each query, nearest cluster first; ties by row, equal clusters by number.

    For many searches of one gallery, or single queries, make a :class:`ClusterFirst` once.

    Args:
        queries: float32 (q, d).
        gallery: float32 (g, d).
        clustering: of the gallery.
        n: results per query; all there are where the gallery holds fewer.
        order: ``sequential`` or ``pooled``.
        exclude: gallery row left out of each query's results (the query itself), or -1; int64 (q,).
        probes: ``pooled`` visits at least so many clusters that have members, as well as until N are found; no more
            than there are. It does nothing in the ``sequential`` order.
        batch: queries in one block at most; never changes a result.
        threads: 0 means one per core; never changes a result.
        progress: shows queries done.

    Raises:
        UsageError: shapes do not fit, values are not finite, or ``exclude`` points outside the gallery.
    """
    index = ClusterFirst(gallery, clustering, copy=False)
    return index.search(queries, n, order, exclude, probes, batch=batch, threads=threads, progress=progress)


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
    """Write the keys of a cluster's members, as ``sort_keys`` makes them, and return how many."""
    distance = np.empty(1, np.float32)
    bits = distance.view(np.uint32)
    written = 0
    for j in range(start, stop):
        distance[0] = squared_distance(query, vectors[places[j]])
        keys[written] = (np.uint64(bits[0]) << _SHIFT) | np.uint64(rows[j])
        written += rows[j] != exclude
    return written
