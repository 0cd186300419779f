"""Inverted lists: vectors are grouped by their nearest centroid, and a query looks into the nearest lists only.

Which lists are read is decided by distances in a fixed order; where they hold fewer vectors than are wanted, the next
ones are read too. faiss scans the lists; see :mod:`aeret.retrieval.indexes.refine` for what is made of it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, nearest_rows
from aeret.embeddings.one_thread import one_thread
from aeret.progress import Progress
from aeret.retrieval.indexes.index import EVERYTHING, Block, Index, inserted
from aeret.retrieval.indexes.refine import refine
from aeret.retrieval.indexes.scoring import longest, nearest_raw, rounding
from aeret.retrieval.indexes.training import train_centroids

_FILE = "lists.faiss"
_AT_ONCE = 4096
_OFFSET = np.int64(0xFFFFFFFF)


class Inverted(Index):
    """Lists of codes in a faiss index, by user's id. One of its kind makes that index."""

    OPTIONS = {"lists": 0}
    KNOBS = {"nprobe": (1, 2, 4, 8, 16, 32, 64, 128, EVERYTHING)}
    DEFAULTS = {"nprobe": 8}
    BLOCK = 1024
    HOLDS = False

    _faiss: Any
    _centroids: Vectors
    _lists: NDArray[np.int32]
    """List of each row."""
    _sizes: NDArray[np.int64]
    """Vectors in each list."""
    _occupied: NDArray[np.int64]
    """Lists that hold any, and in ``_looked_at`` their centroids."""
    _looked_at: Vectors
    _longest: float
    """Length of the longest decoded vector or centroid."""
    _views: dict[int, tuple[NDArray[np.uint8], NDArray[np.int64]]]
    """Arrays over the memory of faiss' lists, good until these change."""

    @abstractmethod
    def _trained(self, quantizer: Any, vectors: Vectors, seed: int) -> Any:
        """Return an empty, trained faiss index whose coarse quantiser holds the centroids."""

    @abstractmethod
    def _decode_codes(self, codes: NDArray[np.uint8], lists: NDArray[np.int64]) -> Vectors:
        """Return the vectors that codes, uint8 (c, bytes), of lists int64 (c,) stand for."""

    def _build(self, vectors: Vectors, seed: int, progress: Progress) -> None:
        count = min(len(vectors), self.options["lists"] or max(1, 4 * round(len(vectors) ** 0.5)))
        self.options["lists"] = count
        with progress(f"train {self.name}", 2, unit="quantiser") as step:
            self._centroids = train_centroids(vectors, count, seed, self.name)
            step(1)
            quantizer = faiss.IndexFlatL2(self.width)
            quantizer.add(self._centroids)
            self._faiss = self._trained(quantizer, vectors, seed)
            step(1)
        self._lists, self._longest = np.empty(0, np.int32), longest(self._centroids)
        self._insert(vectors, self._ids, np.arange(len(vectors)))

    def _insert(self, vectors: Vectors, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        def nearest(start: int, stop: int) -> NDArray[np.int64]:
            return nearest_rows(vectors[start:stop], self._centroids, 1)[0][:, 0]

        self._own()
        lists = np.concatenate([np.empty(0, np.int64), *over_blocks(len(vectors), _AT_ONCE, nearest)])
        with one_thread():
            for start in range(0, len(vectors), _AT_ONCE):
                some = [np.ascontiguousarray(part[start : start + _AT_ONCE]) for part in (vectors, ids, lists)]
                self._faiss.add_core(len(some[0]), *map(faiss.swig_ptr, some))
                self._views = {}
                sizes = np.bincount(some[2], minlength=len(self._centroids))
                self._longest = max(self._longest, longest(self._last(sizes)))
        self._lists = inserted(self._lists, lists.astype(np.int32), rows)
        self._count()

    def _last(self, sizes: NDArray[np.int64]) -> Vectors:
        """Return the decoded vectors of the last ``sizes[i]`` codes of each list."""
        lists = np.repeat(np.arange(len(sizes)), sizes)
        parts = [self._list(number)[0][-sizes[number] :] for number in np.flatnonzero(sizes).tolist()]
        codes = np.concatenate([np.empty((0, self._faiss.code_size), np.uint8), *parts])
        return self._decode_codes(codes, lists)

    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._own()
        self._faiss.remove_ids(ids)
        self._views = {}
        self._lists = np.delete(self._lists, rows)
        self._count()

    def _count(self) -> None:
        """Note what every search asks of the lists."""
        self._sizes = np.bincount(self._lists, minlength=len(self._centroids))
        self._occupied = np.flatnonzero(self._sizes)
        some = len(self._occupied) < len(self._centroids)
        self._looked_at = self._centroids[self._occupied] if some else self._centroids

    def _list(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Return codes uint8 (s, bytes) and ids int64 (s,) of a list, which must not be empty."""
        if number not in self._views:
            held, size = self._faiss.invlists, self._faiss.invlists.list_size(number)
            codes = faiss.rev_swig_ptr(held.get_codes(number), size * self._faiss.code_size)
            self._views[number] = codes.reshape(size, -1), faiss.rev_swig_ptr(held.get_ids(number), size)
        return self._views[number]

    def _decoded(self, rows: NDArray[np.int64]) -> Vectors:
        out = np.empty((len(rows), self.width), np.float32)
        wanted, lists = self._ids[rows], self._lists[rows]
        for number in np.unique(lists).tolist():
            here = np.flatnonzero(lists == number)
            codes, ids = self._list(number)
            order = np.argsort(ids)
            at = order[np.searchsorted(ids[order], wanted[here])]
            out[here] = self._decode_codes(codes[at], np.full(len(here), number, np.int64))
        return out

    def _search_block(self, queries: Vectors, n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any]) -> Block:
        dot = self.metric == "dot"
        probed, far, within, skipped = self._probed(queries, n, exclude, knobs["nprobe"], dot)

        def fetch(some: NDArray[np.int64], wanted: int) -> tuple[Vectors, NDArray[np.int64]]:
            return self._scan(queries[some], probed[some], far[some], wanted, dot)

        slack = rounding(self.width, np.linalg.norm(queries, axis=1) + 2 * self._longest)
        with one_thread():
            rows, raw = refine(queries, n, exclude, within, fetch, self._decode_pairs, slack, dot)
        return rows, raw, within - skipped, (probed >= 0).sum(axis=1)

    def _probed(
        self, queries: Vectors, n: int, exclude: NDArray[np.int64], nprobe: float, dot: bool
    ) -> tuple[NDArray[np.int64], Vectors, NDArray[np.int64], NDArray[np.int64]]:
        """Return the lists each query reads, -1 after the last, and what they hold.

        Returns:
            lists int64 (b, p) without empty ones, raw distances of their centroids float32 (b, p), vectors in them
            int64 (b,), and how many of these are the one left out int64 (b,).
        """
        sizes, occupied = self._sizes, self._occupied
        own = np.where(exclude >= 0, self._lists[exclude], -1)
        least = max(1, int(min(nprobe, len(occupied))))
        count = least
        while True:
            near, far = nearest_raw(queries, self._looked_at, count, dot, self._longest)
            lists = occupied[near]
            filled = np.cumsum(sizes[lists] - (lists == own[:, None]), axis=1)
            if count == len(occupied) or (filled[:, -1] >= n).all():
                break
            count = min(len(occupied), 2 * count)
        used = np.maximum(least, 1 + (filled < n).sum(axis=1))
        beyond = np.arange(count) >= used[:, None]
        skipped = ((lists == own[:, None]) & ~beyond).sum(axis=1)
        within = np.take_along_axis(filled, used[:, None] - 1, axis=1)[:, 0] + skipped
        width = int(used.max())
        lists[beyond] = -1
        return lists[:, :width], np.ascontiguousarray(far[:, :width]), within, skipped

    def _scan(
        self, queries: Vectors, lists: NDArray[np.int64], far: Vectors, wanted: int, dot: bool
    ) -> tuple[Vectors, NDArray[np.int64]]:
        """Return rough raw distances and (list << 32 | place in it) of the nearest codes; -1 where there are none."""
        rough = np.empty((len(queries), wanted), np.float32)
        pairs = np.empty((len(queries), wanted), np.int64)
        given = [np.ascontiguousarray(queries), wanted, np.ascontiguousarray(lists), -far if dot else far, rough, pairs]
        pointers = [faiss.swig_ptr(each) if isinstance(each, np.ndarray) else each for each in given]
        reach = faiss.SearchParametersIVF()
        reach.nprobe = lists.shape[1]
        self._faiss.search_preassigned_c(len(queries), *pointers, True, reach)
        return -rough if dot else rough, pairs

    def _decode_pairs(self, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], Vectors]:
        lists, places = pairs >> 32, pairs & _OFFSET
        codes, ids = np.empty((len(pairs), self._faiss.code_size), np.uint8), np.empty(len(pairs), np.int64)
        starts = np.flatnonzero(np.diff(lists, prepend=-1)).tolist()
        for start, stop in zip(starts, [*starts[1:], len(pairs)], strict=True):
            held, names = self._list(int(lists[start]))
            np.take(held, places[start:stop], axis=0, out=codes[start:stop], mode="clip")
            np.take(names, places[start:stop], out=ids[start:stop], mode="clip")
        return np.searchsorted(self._ids, ids), self._decode_codes(codes, lists)

    def _own(self) -> None:
        """Copy memory-mapped lists, which cannot grow: faiss would abort."""
        self._views = {}
        if self._mapped:
            self._faiss, self._mapped = faiss.deserialize_index(faiss.serialize_index(self._faiss)), False

    _mapped = False

    def _state(self) -> dict[str, NDArray[Any]]:
        return {"lists": self._lists, "centroids": self._centroids, "longest": np.array(self._longest)}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        self._lists, self._centroids, self._longest = state["lists"], state["centroids"], float(state["longest"])
        self._count()

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        faiss.write_index(self._faiss, str(folder / _FILE))

    def _read(self, folder: Path, mmap: bool) -> None:
        super()._read(folder, mmap)
        self._mapped, self._views = mmap, {}
        flags = faiss.IO_FLAG_MMAP_IFC if mmap else 0
        self._faiss = faiss.read_index(str(folder / _FILE), flags | faiss.IO_FLAG_SKIP_PRECOMPUTE_TABLE)
        if self._faiss.ntotal != len(self):
            raise ValueError(f"{self._faiss.ntotal} codes for {len(self)} ids")

    def _bytes(self) -> int:
        # The faiss index holds the centroids too, and each id.
        codes = len(self) * (int(self._faiss.code_size) + 8)
        return super()._bytes() + codes + self._centroids.nbytes
