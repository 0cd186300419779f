"""Search binary codes by Hamming distance: all of them, or through hash tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.progress import Progress
from aeret.retrieval.hamming import as_codes, as_words, checked_codes, nearest_codes
from aeret.retrieval.indexes.checks import one_of
from aeret.retrieval.indexes.faiss_index import settled
from aeret.retrieval.indexes.flat import Flat
from aeret.retrieval.indexes.index import EVERYTHING, Found

_QUERIES_AT_ONCE = 32
_MOST_FLIPS = 3
"""More flipped bits open more buckets than a scan takes."""
_faiss: Any = faiss  # whose stubs lack some of its names


class BinaryFlat(Flat):
    """Compare all codes, exactly (:mod:`aeret.retrieval.hamming`).

    Codes take the place of vectors: uint8 (n, bits / 8) as :func:`numpy.packbits` makes them, or bool (n, bits), with
    bits a multiple of 8; ``decoded`` returns uint8. They are held as words in the order of columns, uint64 (n, words).
    """

    name = "binary-flat"
    METRICS = ("hamming",)

    @classmethod
    def _checked(cls, vectors: NDArray[Any], name: str, width: int | None) -> NDArray[Any]:
        return checked_codes(np.asarray(vectors), name, width)

    def _build(self, vectors: NDArray[Any], seed: int, progress: Progress) -> None:
        self._vectors = as_words(vectors).T

    def _insert(self, vectors: NDArray[Any], rows: NDArray[np.int64]) -> None:
        super()._insert(as_words(vectors).T, rows)
        self._vectors = np.asfortranarray(self._vectors)

    def _delete(self, rows: NDArray[np.int64]) -> None:
        super()._delete(rows)
        self._vectors = np.asfortranarray(self._vectors)

    def _decoded(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return as_codes(self._vectors[rows.ravel()].T, self.width).reshape(*rows.shape, self.width)

    def _search_block(
        self, queries: NDArray[Any], n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any], threads: int
    ) -> Found:
        words = as_words(queries)

        def work(start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            return nearest_codes(words[:, start:stop], self._vectors.T, n, exclude[start:stop])

        rows, bits = zip(*over_blocks(len(queries), _QUERIES_AT_ONCE, work, threads), strict=True)
        far = np.concatenate(bits).astype(np.float32)
        return np.concatenate(rows), far, len(self) - (exclude >= 0), np.zeros_like(exclude)


class BinaryMulti(BinaryFlat):
    """Look codes up in hash tables of their substrings (Norouzi, Punjani and Fleet 2012), those of faiss.

    Buckets are opened with more and more flipped bits until no nearer code can be missing, then all codes are scanned.
    A change makes the tables anew. ``scanned`` and ``probes`` are means over the queries that were asked together.
    """

    name = "binary-multi"
    OPTIONS: ClassVar[Mapping[str, Any]] = {"substring": 0}
    """Bits of a substring: 8 or 16; 0 chooses by the number of codes."""
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {"radius": (0, 1, 2, 3, EVERYTHING)}
    """Flipped bits up to which a substring's buckets are opened, unless they hold too few codes; the last is exact."""
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {"radius": EVERYTHING}

    _tables: Any

    def _build(self, vectors: NDArray[Any], seed: int, progress: Progress) -> None:
        one_of(self.options["substring"], (0, 8, 16), "substring of the index binary-multi")
        super()._build(vectors, seed, progress)
        self._look_up()

    def _insert(self, vectors: NDArray[Any], rows: NDArray[np.int64]) -> None:
        super()._insert(vectors, rows)
        self._look_up()

    def _delete(self, rows: NDArray[np.int64]) -> None:
        super()._delete(rows)
        self._look_up()

    def _look_up(self) -> None:
        """Make the tables of all codes."""
        bits, count = 8 * self.width, len(self._vectors)
        substring = int(self.options["substring"]) or (16 if count >= 2**14 and bits >= 16 else 8)
        substring = min(substring, bits)
        self._tables = faiss.IndexBinaryMultiHash(bits, bits // substring, substring)
        self._tables.add(as_codes(self._vectors.T, self.width))

    def _search_block(
        self, queries: NDArray[Any], n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any], threads: int
    ) -> Found:
        rows, bits = np.empty((len(queries), n), np.int64), np.full((len(queries), n), np.inf, np.float32)
        counted = np.zeros((2, len(queries)), np.int64)
        left, radius, stats = np.arange(len(queries)), 0, _faiss.cvar.indexBinaryHash_stats

        def fetch(some: NDArray[np.int64], wanted: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
            stats.reset()
            far, found = self._tables.search(queries[left[some]], wanted)
            counted[:, left[some]] += np.array([[stats.ndis], [stats.n0 + stats.nlist]]) // len(some)
            return far.astype(np.float32), found

        # A code within (radius + 1) * tables - 1 bits has a substring within the radius, so it has been seen.
        while len(left) and radius <= _MOST_FLIPS:
            self._tables.nflip = radius
            rows[left], bits[left] = settled(fetch, n, exclude[left], len(self))
            radius += 1
            last = bits[left, -1]
            enough = last < radius * self._tables.nhash
            left = left[~(enough | np.isfinite(last) if radius > knobs["radius"] else enough)]
        if len(left):
            rows[left], bits[left], all_of_them, _ = super()._search_block(queries[left], n, exclude[left], {}, threads)
            counted[0, left] += all_of_them
        scanned, probes = np.maximum(counted, [[n], [1]])
        return rows, bits, np.minimum(scanned, len(self) - (exclude >= 0)), probes

    def _held(self) -> Any:
        return self._tables

    def _hold(self, path: Path, mmap: bool) -> None:
        self._tables = faiss.read_index_binary(str(path))
        if self._tables.ntotal != len(self):
            raise ValueError(f"{self._tables.ntotal} codes for {len(self)} ids")

    def _bytes(self) -> int:
        # A bucket is a hash, and a vector of row numbers; faiss keeps the codes beside.
        buckets = int(self._tables.hashtable_size())
        return super()._bytes() + len(self) * (self.width + 8 * int(self._tables.nhash)) + 48 * buckets
