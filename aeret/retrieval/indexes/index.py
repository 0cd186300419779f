"""Define what every index does: build, search, change, save and open, by the user's own ids.

Public methods check arguments and translate ids; private ones see checked vectors and *rows* only, which are numbered
in ascending order of id. Distances are smaller where nearer: 1 - cosine, Euclidean, the negated dot product, or bits.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import checked, faiss_threads
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import DataError, UsageError
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.retrieval.indexes.checks import by_id, checked_ids, chosen, inserted, is_fixed, rows_of
from aeret.retrieval.indexes.files import opened, save_index
from aeret.retrieval.ranking import Ranking

EVERYTHING = math.inf
"""The last value of a knob: look everywhere."""

Found = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]
"""Rows int64 (b, n), rising distances float32 (b, n), scanned int64 (b,), probes int64 (b,)."""


class Index(ABC):
    """Hold vectors by id and find the nearest of them to a query.

    Example:
        >>> from aeret.retrieval.indexes import INDEXES
        >>> index = INDEXES["flat"].build(np.eye(3, dtype=np.float32), ids=np.array([7, 8, 9]))
        >>> index.search(np.eye(3, dtype=np.float32)[:1], 2).rows.tolist()
        [[7, 8]]
    """

    name: ClassVar[str]
    """Its key in ``INDEXES``."""
    OPTIONS: ClassVar[Mapping[str, Any]] = {}
    """Options of ``build`` and their defaults; 0 often means: chosen from the number of vectors."""
    GIVEN: ClassVar[tuple[str, ...]] = ()
    """Further arguments of ``build`` that are arrays; ``_build`` finds those given in ``_given``."""
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {}
    """Knobs of ``search`` and values to try, from cheap to exact; the last value of all together is exact."""
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {}
    """Value of each knob where ``search`` is given none."""
    METRICS: ClassVar[tuple[str, ...]] = ("cosine", "euclidean", "dot")
    """Metrics it knows, the default first."""
    BLOCK: ClassVar[int] = 1024
    """Most queries in one call of ``_search_block``."""
    HOLDS: ClassVar[bool] = False
    """Whether ``_build`` holds on to the very array that it is given, which ``build`` then copies."""

    def __init__(self, metric: str, width: int, options: Mapping[str, Any]) -> None:
        self.metric, self.width, self.options = metric, width, dict(options)
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._given: dict[str, Any] = {}

    @classmethod
    def build(
        cls,
        vectors: NDArray[Any],
        *,
        ids: NDArray[np.integer] | None = None,
        metric: str | None = None,
        seed: int = 0,
        progress: Progress = silent,
        **options: Any,
    ) -> Self:
        """Return an index of vectors.

        Args:
            vectors: float32 (n, d), at least one; copied, unless they are a read-only memory-mapped file.
            ids: unique, not negative, int64 (n,); the row numbers by default.
            metric: one of ``METRICS``; the first by default.
            seed: of what is trained.
            progress: shows the work.
            options: see ``OPTIONS`` and ``GIVEN``.

        Raises:
            UsageError: an argument does not fit; the message says which.
        """
        metric = cls.METRICS[0] if metric is None else metric
        lookup(dict.fromkeys(cls.METRICS), metric, f"metric of the index {cls.name}")
        others = {name: options.pop(name) for name in cls.GIVEN if name in options}
        index = cls(metric, 0, chosen(options, cls.OPTIONS, f"build option of the index {cls.name}"))
        index._given = others
        given = np.asarray(vectors)
        vectors = cls._checked(given, "Vectors to index", None)
        if not vectors.size or len(vectors) >= 2**31:
            raise UsageError(
                f"An index holds 1 to {2**31 - 1} vectors of at least one dimension, got an array of {vectors.shape}."
            )
        index.width = vectors.shape[1]
        known = np.arange(len(vectors)) if ids is None else checked_ids(ids, len(vectors))
        vectors, index._ids = by_id(vectors, known)
        vectors = index.prepared(vectors)
        if cls.HOLDS and np.may_share_memory(vectors, given) and not is_fixed(given):
            vectors = vectors.copy()
        index._build(vectors, seed, progress)
        index._given = {}  # arrays of the caller's
        return index

    def add(self, vectors: NDArray[Any], ids: NDArray[np.integer] | None = None) -> None:
        """Add vectors float32 (m, d); what was trained at the build stays as it is.

        Ids int64 (m,) must be new; they go on from the largest by default.

        Raises:
            UsageError: shapes do not fit, or an id is given twice or is there already.
        """
        vectors = self._checked(vectors, "Vectors to add", self.width)
        first = int(self._ids[-1]) + 1
        new = np.arange(first, first + len(vectors)) if ids is None else checked_ids(ids, len(vectors))
        there = new[np.isin(new, self._ids)]
        if len(there):
            raise UsageError(f"Id {there[0]} is in the index already (of {len(there)}); remove it first.")
        if not len(new):
            return
        vectors, new = by_id(vectors, new)
        # Rows in the numbering after.
        rows = np.searchsorted(self._ids, new) + np.arange(len(new))
        self._insert(self.prepared(vectors), rows)
        self._ids = inserted(self._ids, new, rows)

    def remove(self, ids: NDArray[np.integer]) -> None:
        """Remove vectors by different ids that the index holds; at least one must stay."""
        gone = np.sort(checked_ids(ids, np.size(ids)))
        rows = rows_of(self._ids, gone, "removed")
        if len(gone) == len(self):
            raise UsageError(f"All {len(self)} vectors of the index cannot be removed: an index holds at least one.")
        if len(rows):
            self._delete(rows)
            self._ids = np.delete(self._ids, rows)

    def search(
        self,
        queries: NDArray[Any],
        n: int,
        *,
        exclude: NDArray[np.integer] | None = None,
        threads: int = 0,
        progress: Progress = silent,
        **knobs: float | str,
    ) -> Ranking:
        """Return exactly ``n`` results of each query, or as many as there are; ties by id.

        Args:
            queries: float32 (q, d).
            n: results per query; fewer if the index holds fewer.
            exclude: id left out of each query's results (the query itself), or -1; int64 (q,).
            threads: 0 means one per core.
            progress: shows queries done.
            knobs: see ``KNOBS``.

        Raises:
            UsageError: shapes do not fit, values are not finite, or an id or a knob is unknown.
        """
        queries = self._checked(queries, "Queries", self.width)
        if n < 1:
            raise UsageError(f"A search must return at least one result, got n={n}.")
        turned = chosen(knobs, self.DEFAULTS, f"search knob of the index {self.name}", self.KNOBS)
        left_out = self._left_out(exclude, len(queries))
        n = min(n, len(self) - int(bool((left_out >= 0).any())))
        if not (n and len(queries)):
            none = np.zeros(len(queries), np.int64)
            return Ranking(np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32), none, none)
        with progress(f"search, {self.name}", len(queries), unit="query") as step:
            parts = []
            for start in range(0, len(queries), self.BLOCK):
                part = slice(start, start + self.BLOCK)
                with faiss_threads(threads):
                    parts.append(self._search_block(self.prepared(queries[part]), n, left_out[part], turned, threads))
                step(len(parts[-1][0]))
        rows, distances, scanned, probes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Ranking(self._ids[rows], distances, scanned, probes)

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids in ascending order, int64 (n,)."""
        return self._ids

    @property
    def bytes_per_vector(self) -> float:
        """Memory of codes, ids and structures, as each vector's share; bytes."""
        return (self._bytes() + self._ids.nbytes) / len(self)

    def prepared(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Return checked vectors as they are compared: of unit length for ``cosine``, and otherwise as given."""
        return l2_normalise(vectors) if self.metric == "cosine" else vectors

    def decoded(self, ids: NDArray[np.integer] | None = None) -> NDArray[Any]:
        """Return the vectors of known ids, or all in order of id, as the index knows them, float32 (m, d)."""
        known = self._ids if ids is None else np.asarray(ids, np.int64)
        return self._decoded(rows_of(self._ids, known, "decoded"))

    def rows(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the rows of :meth:`decoded` at which known ids stand, int64 of the same shape."""
        return rows_of(self._ids, np.asarray(ids, np.int64), "turned into a row")

    def save(self, folder: Path) -> None:
        """Write the index into a folder; a killed save leaves the old one (:mod:`aeret.retrieval.indexes.files`)."""
        facts = {"kind": self.name, "metric": self.metric, "width": self.width, "vectors": len(self)}
        arrays = {"ids": self._ids, **self._state()}
        save_index(Path(folder), {**facts, "options": self.options}, arrays, self._held())

    @classmethod
    def load(cls, folder: Path, mmap: bool = True) -> Self:
        """Open what :meth:`save` wrote, memory-mapped if the format allows it.

        Raises:
            DataError: the folder holds no index of this kind, or a damaged one.
        """

        def read(facts: dict[str, Any], arrays: dict[str, NDArray[Any]], held: Path | None) -> Any:
            if facts["kind"] != cls.name:
                raise DataError(
                    f"{folder}: holds an index of kind {facts['kind']!r}, not {cls.name!r}; use open_index."
                )
            index = cls(facts["metric"], facts["width"], facts["options"])
            index._ids = arrays.pop("ids")
            if len(index) != facts["vectors"]:
                raise ValueError(f"{len(index)} ids of {facts['vectors']}")
            if held is not None:
                index._hold(held, mmap)
            index._restore(arrays)
            return index

        made: Self = opened(Path(folder), read, mmap)
        return made

    @abstractmethod
    def _build(self, vectors: NDArray[Any], seed: int, progress: Progress) -> None:
        """Train and fill; ``vectors`` are prepared, float32 (n, d), in order of row."""

    @abstractmethod
    def _insert(self, vectors: NDArray[Any], rows: NDArray[np.int64]) -> None:
        """Add prepared vectors, which take these ascending rows of the numbering after."""

    @abstractmethod
    def _delete(self, rows: NDArray[np.int64]) -> None:
        """Remove ascending rows."""

    @abstractmethod
    def _decoded(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the vectors of rows as the index knows them."""

    @abstractmethod
    def _search_block(
        self, queries: NDArray[Any], n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any], threads: int
    ) -> Found:
        """Search for a block of prepared queries; ``n`` results of each exist besides its excluded row (or -1).

        ``knobs`` are complete; faiss has its ``threads`` already.
        """

    def _state(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the index but the ids; each is saved under its name."""
        return {}

    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take the arrays of :meth:`_state` back, which may be memory-mapped."""
        if state:
            raise ValueError(f"unknown arrays {', '.join(state)}")

    def _held(self) -> Any:
        """Return the index of faiss to save, or None."""
        return None

    def _hold(self, path: Path, mmap: bool) -> None:
        """Read the index of faiss back."""
        raise ValueError(f"unknown file {path.name}")

    def _bytes(self) -> int:
        return sum(array.nbytes for array in self._state().values())

    @classmethod
    def _checked(cls, vectors: NDArray[Any], name: str, width: int | None) -> NDArray[Any]:
        """Return vectors checked and contiguous; ``width`` is what they must have."""
        return checked(np.asarray(vectors), name, width)

    def _distances(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return distances of the metric for squared distances or, of ``dot``, negated products."""
        if self.metric == "cosine":
            return raw / np.float32(2)  # of unit vectors, |a - b|^2 = 2 - 2 cos
        return np.sqrt(raw) if self.metric == "euclidean" else raw

    def _left_out(self, exclude: NDArray[np.integer] | None, queries: int) -> NDArray[np.int64]:
        rows = np.full(queries, -1, np.int64)
        ids = rows if exclude is None else np.asarray(exclude)
        if ids.shape != (queries,) or ids.dtype.kind not in "iu":
            raise UsageError(
                f"exclude must name one id (or -1) per query, {queries} integers; got {ids.dtype} of shape {ids.shape}."
            )
        some = ids != -1
        rows[some] = rows_of(self._ids, ids[some].astype(np.int64), "excluded")
        return rows
