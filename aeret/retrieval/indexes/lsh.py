"""Locality-sensitive hashing by random hyperplanes (Charikar 2002), with multi-probe search (Lv et al. 2007).

A vector's bucket in a table says on which side of each of ``bits`` hyperplanes it lies. A query's neighbours lie in its
own bucket, or across the hyperplanes it is nearest to: buckets of all tables are opened in the order of the sum of
squared distances to the hyperplanes that divide them from the query. Candidates are scored exactly, in a fixed order.

The hyperplanes go through the mean of the vectors: through the origin, embeddings that are all positive would share
few buckets.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from typing import Any, ClassVar

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, decode, sort_keys
from aeret.errors import UsageError
from aeret.progress import Progress
from aeret.retrieval.indexes.index import EVERYTHING, Block, Index, inserted
from aeret.retrieval.indexes.scoring import negated_product
from aeret.retrieval.smallest import sort_smallest
from aeret.rng import generator

_MOST_BITS = 16
_IN_BUCKET = 16
_AT_ONCE = 1024


class Lsh(Index):
    """``tables`` tables of 2 to the power of ``bits`` buckets; bits are chosen for about 16 vectors a bucket.

    Memory: 6 bytes per vector and table, and the vectors. A search takes 4 bytes per vector on each thread.
    """

    name = "lsh"
    METRICS = ("cosine", "euclidean")
    OPTIONS: ClassVar[Mapping[str, Any]] = {"tables": 8, "bits": 0}
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {
        "tables": (1, 2, 4, 8, EVERYTHING),
        "probes": (1, 2, 4, 8, 16, 32, 64, 128, EVERYTHING),
    }
    """Tables used, and buckets opened per table of these: on average, the most promising first."""
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {"tables": EVERYTHING, "probes": 16}

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        tables, bits = int(self.options["tables"]), int(self.options["bits"])
        bits = bits or max(1, min(_MOST_BITS, (len(vectors) // _IN_BUCKET).bit_length() - 1))
        if not (1 <= tables <= 256 and bits <= _MOST_BITS):
            raise UsageError(f"An index has 1 to 256 tables of 1 to {_MOST_BITS} bits; got {tables} of {bits}.")
        self._vectors = vectors
        self._mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        planes = generator(seed, "lsh").standard_normal((tables, bits, vectors.shape[1]))
        self._planes = (planes / np.linalg.norm(planes, axis=2, keepdims=True)).astype(np.float32)
        self._hashes = self._hashed(vectors, progress)
        self._fill()

    def _hashed(self, vectors: Vectors, progress: Progress | None = None) -> NDArray[np.uint16]:
        hashes = np.empty((len(self._planes), len(vectors)), np.uint16)

        def work(start: int, stop: int) -> None:
            hashes[:, start:stop] = _as_hashes(self._margins(vectors[start:stop])).T

        for _ in over_blocks(len(vectors), _AT_ONCE, work):
            pass
        return hashes

    def _margins(self, vectors: Vectors) -> Vectors:
        """Return minus the signed distances to the hyperplanes, float32 (n, tables, bits), the same in any batch."""
        margins = np.empty((len(vectors), *self._planes.shape[:2]), np.float32)
        _products(vectors - self._mean, self._planes, margins)
        return margins

    def _fill(self) -> None:
        tables, bits, _ = self._planes.shape
        self._offsets = np.zeros((tables, (1 << bits) + 1), np.int64)
        self._members = np.empty(self._hashes.shape, np.uint32)
        for t, hashes in enumerate(self._hashes):
            np.cumsum(np.bincount(hashes, minlength=1 << bits), out=self._offsets[t, 1:])
            self._members[t] = np.argsort(hashes, kind="stable")

    def _insert(self, vectors: Vectors, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._hashes = inserted(self._hashes.T, self._hashed(vectors).T, rows).T.copy()
        self._vectors = inserted(self._vectors, vectors, rows)
        self._fill()

    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._vectors = np.delete(self._vectors, rows, axis=0)
        self._hashes = np.delete(self._hashes, rows, axis=1)
        self._fill()

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        return self._vectors[rows]

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"vectors": self._vectors, "hashes": self._hashes, "planes": self._planes, "mean": self._mean}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._vectors, self._hashes = state["vectors"], state["hashes"]
        self._planes, self._mean = state["planes"], state["mean"]
        self._fill()

    def _bytes(self) -> int:
        return super()._bytes() + self._offsets.nbytes + self._members.nbytes

    def _search_block(self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any]) -> Block:
        tables = int(max(1, min(knobs["tables"], len(self._planes))))
        buckets = self._offsets.shape[1] - 1
        margins = self._margins(queries)
        keys = np.empty((len(queries), n), np.uint64)
        scanned, probes = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.int64)
        if knobs["probes"] >= buckets:
            # One table holds everything, so its buckets need no order.
            tables, most = 1, 0
        else:
            most = int(max(1, knobs["probes"] * tables))
        _search(
            queries, margins[:, :tables], _as_hashes(margins).astype(np.int64), self._vectors,
            self._offsets, self._members, exclude, most, keys, scanned, probes,
        )  # fmt: skip
        return *decode(keys), scanned, probes


def _as_hashes(margins: Vectors) -> NDArray[np.uint16]:
    """Return the bucket in each table, uint16 (n, tables)."""
    powers = (1 << np.arange(margins.shape[2])).astype(np.uint16)
    return np.asarray(((margins < 0) * powers).sum(axis=2, dtype=np.uint16))


@numba.njit(nogil=True, cache=True)
def _products(vectors, planes, margins):  # type: ignore[no-untyped-def]
    for i in range(vectors.shape[0]):
        for t in range(planes.shape[0]):
            for b in range(planes.shape[1]):
                margins[i, t, b] = negated_product(vectors[i], planes[t, b])


@numba.njit(nogil=True, cache=True)
def _search(  # type: ignore[no-untyped-def]
    queries, margins, hashes, vectors, offsets, members, exclude, most, keys, scanned, probes
):
    wanted, (_, tables, bits) = keys.shape[1], margins.shape
    seen = np.full(vectors.shape[0], -1, np.int32)
    pool = np.empty(2 * wanted + _AT_ONCE, np.uint64)
    some = np.empty(_AT_ONCE, np.uint32)
    costs = np.empty((tables, bits), np.float32)
    planes = np.empty((tables, bits), np.int64)
    for i in range(queries.shape[0]):
        found = 0
        if most == 0:
            everything = members[0]
            found = _score(queries[i], vectors, everything, seen, i, exclude[i], some, pool, found, wanted, scanned)
            probes[i] = offsets.shape[1] - 1
        else:
            # The cost of a set of hyperplanes, and the set: table, the farthest plane in it, a bit each by nearness.
            waiting = [(np.float32(0.0), np.int64(0))]
            for t in range(tables):
                planes[t] = np.argsort(np.abs(margins[i, t]), kind="mergesort")
                costs[t] = margins[i, t][planes[t]] ** 2
                if t > 0:
                    heappush(waiting, (np.float32(0.0), np.int64(t) << 32))
            while len(waiting) > 0 and (probes[i] < most or scanned[i] < wanted):
                cost, code = heappop(waiting)
                table, last, chosen = code >> 32, (code >> 16) & 0xFFFF, code & 0xFFFF
                bucket = hashes[i, table]
                for b in range(bits):
                    if chosen >> b & 1:
                        bucket ^= 1 << planes[table, b]
                rows = members[table, offsets[table, bucket] : offsets[table, bucket + 1]]
                found = _score(queries[i], vectors, rows, seen, i, exclude[i], some, pool, found, wanted, scanned)
                probes[i] += 1
                following = last + 1 if chosen else 0
                if following < bits:
                    step = costs[table, following]
                    place = (np.int64(table) << 32) | (np.int64(following) << 16)
                    heappush(waiting, (cost + step, place | chosen | (1 << following)))
                    if chosen:
                        shifted = (chosen ^ (1 << last)) | (1 << following)
                        heappush(waiting, (cost - costs[table, last] + step, place | shifted))
        sort_smallest(pool[:found], wanted)
        keys[i] = pool[:wanted]


@numba.njit(nogil=True, cache=True)
def _score(  # type: ignore[no-untyped-def]
    query, vectors, rows, seen, i, left_out, some, pool, found, wanted, scanned
):
    """Add the keys of rows not seen before to the pool, which holds the best ``wanted`` at least; return its size."""
    size = 0
    for j in range(rows.shape[0]):
        if seen[rows[j]] != i and rows[j] != left_out:
            seen[rows[j]] = i
            some[size] = rows[j]
            size += 1
        if size == some.shape[0] or (size > 0 and j == rows.shape[0] - 1):
            if found + size > pool.shape[0]:
                sort_smallest(pool[:found], wanted)
                found = wanted
            sort_keys(query, vectors, some[:size], pool[found : found + size])
            found += size
            scanned[i] += size
            size = 0
    return found
