"""Vector quantisation: a vector's code is the number of its nearest centroid, and all of one code are equally far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, nearest_rows
from aeret.progress import Progress
from aeret.retrieval.indexes.index import Block, Index, inserted
from aeret.retrieval.indexes.scoring import raw_distances
from aeret.retrieval.indexes.training import train_centroids

_ENCODED_AT_ONCE = 4096


class VectorCodes(Index):
    """One codebook of ``codes`` centroids; results by distance of their centroid, then by id.

    Scanned are the vectors of the codes that were read.
    """

    name = "vq"
    HOLDS = False
    OPTIONS = {"codes": 0}

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        count = min(len(vectors), self.options["codes"] or 4 * round(len(vectors) ** 0.5))
        self.options["codes"] = count
        with progress("train vq", 1, unit="codebook") as step:
            self._centroids = train_centroids(vectors, count, seed, self.name)
            step(1)
        self._fill(self._encode(vectors))

    def _insert(self, vectors: Vectors, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._fill(inserted(self._codes, self._encode(vectors), rows))

    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._fill(np.delete(self._codes, rows))

    def _encode(self, vectors: Vectors) -> NDArray[np.int32]:
        def nearest(start: int, stop: int) -> NDArray[np.int64]:
            return nearest_rows(vectors[start:stop], self._centroids, 1)[0][:, 0]

        parts = list(over_blocks(len(vectors), _ENCODED_AT_ONCE, nearest))
        return np.concatenate([np.empty(0, np.int32), *parts]).astype(np.int32)

    def _fill(self, codes: NDArray[np.int32]) -> None:
        self._codes = codes
        self._members = np.argsort(codes, kind="stable").astype(np.uint32)
        self._offsets = np.searchsorted(codes[self._members], np.arange(len(self._centroids) + 1)).astype(np.int64)

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        return self._centroids[self._codes[rows]]

    def _state(self) -> dict[str, NDArray[Any]]:
        return {
            "centroids": self._centroids,
            "codes": self._codes,
            "members": self._members,
            "offsets": self._offsets,
        }

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._centroids, self._codes = state["centroids"], state["codes"]
        self._members, self._offsets = state["members"], state["offsets"]

    def _search_block(self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any]) -> Block:
        far = raw_distances(queries, self._centroids, self.metric == "dot")
        order = np.argsort(far, axis=1, kind="stable")
        rows, raw = np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32)
        scanned, probes = np.zeros(len(queries), np.int64), np.zeros(len(queries), np.int64)
        _walk(far, order, self._offsets, self._members, exclude, rows, raw, scanned, probes)
        return rows, raw, scanned, probes


@numba.njit(nogil=True, cache=True)
def _walk(far, order, offsets, members, exclude, rows, raw, scanned, probes):  # type: ignore[no-untyped-def]
    wanted, codes = rows.shape[1], order.shape[1]
    for i in range(order.shape[0]):
        found, at = 0, 0
        while found < wanted and at < codes:
            distance = far[i, order[i, at]]
            first, size = at, 0
            while at < codes and far[i, order[i, at]] == distance:
                c = order[i, at]
                size += offsets[c + 1] - offsets[c]
                probes[i] += offsets[c + 1] > offsets[c]
                at += 1
            # Codes that are equally far are one: their members go by row.
            pool = np.empty(size, np.int64)
            size = 0
            for j in range(first, at):
                c = order[i, j]
                for m in range(offsets[c], offsets[c + 1]):
                    if members[m] != exclude[i]:
                        pool[size] = members[m]
                        size += 1
            if at - first > 1:
                pool[:size].sort()
            for j in range(min(size, wanted - found)):
                rows[i, found], raw[i, found] = pool[j], distance
                found += 1
            scanned[i] += size
