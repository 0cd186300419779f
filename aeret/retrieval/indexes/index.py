"""What every index is: built of vectors, searched, changed, saved and memory-mapped, with ids of the user's own.

The public methods of :class:`Index` check what they are given and translate ids; their private twins, which each index
brings, see checked vectors and *rows* only. Rows are numbered in ascending order of id, so that a tie by row is a tie
by id. Distances are smaller where nearer: 1 - cosine, Euclidean, the negated dot product, or bits.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from aeret.artifacts import write_json
from aeret.cores import cores
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import checked
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import DataError, UsageError
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.retrieval.indexes.replacing import replacing_folder, restored
from aeret.retrieval.ranking import Ranking

MANIFEST, VERSION = "index.json", 1
EVERYTHING = math.inf
"""The last value of a knob: look everywhere."""

_LEAST_BLOCK = 16

Block = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]
"""Rows int64 (b, n), raw distances float32 (b, n), scanned int64 (b,), probes int64 (b,)."""


class Index(ABC):
    """Vectors by id, and the nearest of them to a query.

    An index of one's own gives the class variables and implements ``_build``, ``_insert``, ``_delete``,
    ``_search_block`` (or ``_search``), ``_decoded``, ``_state`` and ``_restore``.
    """

    name: ClassVar[str]
    """Its key in ``INDEXES``."""
    OPTIONS: ClassVar[Mapping[str, Any]] = {}
    """Options of ``build`` and their defaults; 0 often means: chosen from the number of vectors."""
    GIVEN: ClassVar[tuple[str, ...]] = ()
    """Further arguments of ``build`` that are no single values; ``_build`` finds those given in ``_given``."""
    KNOBS: ClassVar[Mapping[str, tuple[float | str, ...]]] = {}
    """Knobs of ``search`` and values to try, from cheap to exact; the last value of all together is exact."""
    DEFAULTS: ClassVar[Mapping[str, float | str]] = {}
    """What each knob is where ``search`` is not told."""
    METRICS: ClassVar[tuple[str, ...]] = ("cosine", "euclidean", "dot")
    """Of which the first is the default."""
    BLOCK: ClassVar[int] = 256
    """Most queries in one call of ``_search_block``; never changes a result."""
    HOLDS: ClassVar[bool] = True
    """Whether ``_build`` may hold on to the very array that it is given; where not, ``build`` need not copy it."""

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
            vectors: float32 (n, d), at least one. An index that holds whole vectors copies them, so that the array can
                be written to afterwards; only a read-only memory-mapped file is used where it is.
            ids: unique, not negative, int64 (n,); the row numbers where not given.
            metric: one of ``METRICS``; the first where not given.
            seed: of what is trained.
            progress: shows the work.
            options: of this index, see ``OPTIONS`` and ``GIVEN``.

        Raises:
            UsageError: an argument does not fit; the message says which.
        """
        metric = cls.METRICS[0] if metric is None else metric
        lookup(dict.fromkeys(cls.METRICS), metric, f"metric of the index {cls.name}")
        others = {name: options.pop(name) for name in cls.GIVEN if name in options}
        index = cls(metric, 0, cls._chosen(options, cls.OPTIONS, "build option"))
        index._given = others
        given = np.asarray(vectors)
        vectors = cls._checked(given, "Vectors to index", None)
        if not len(vectors):
            raise UsageError("An index needs at least one vector, got none.")
        if len(vectors) >= 2**32:
            raise UsageError(f"An index holds at most {2**32 - 1} vectors, got {len(vectors)}.")
        index.width = vectors.shape[1]
        known = np.arange(len(vectors)) if ids is None else _checked_ids(ids, len(vectors))
        vectors, index._ids = _by_id(vectors, known)
        vectors = index.prepared(vectors)
        if cls.HOLDS and np.may_share_memory(vectors, given) and not _is_fixed(given):
            vectors = vectors.copy()
        index._build(vectors, seed, progress)
        index._given = {}  # arrays of the caller's
        return index

    def add(self, vectors: NDArray[Any], ids: NDArray[np.integer] | None = None) -> None:
        """Add vectors; what was trained at the build stays as it is.

        Args:
            vectors: float32 (m, d).
            ids: not yet in the index, int64 (m,); they go on from the largest where not given.

        Raises:
            UsageError: shapes do not fit, or an id is given twice or is there already.
        """
        vectors = self._checked(vectors, "Vectors to add", self.width)
        first = int(self._ids[-1]) + 1
        new = np.arange(first, first + len(vectors)) if ids is None else _checked_ids(ids, len(vectors))
        there = new[np.isin(new, self._ids)]
        if len(there):
            raise UsageError(f"Id {there[0]} is in the index already (of {len(there)}); remove it first.")
        vectors, new = _by_id(vectors, new)
        # Where they come to stand, in the numbering after.
        rows = np.searchsorted(self._ids, new) + np.arange(len(new))
        self._insert(self.prepared(vectors), new, rows)
        self._ids = inserted(self._ids, new, rows)

    def remove(self, ids: NDArray[np.integer]) -> None:
        """Remove vectors by id; one at least must stay.

        Raises:
            UsageError: an id is not in the index or given twice; the message names it.
        """
        gone = np.sort(_checked_ids(ids, np.size(ids)))
        rows = self._rows(gone, "removed")
        if len(gone) == len(self):
            raise UsageError(f"All {len(self)} vectors of the index cannot be removed: an index holds at least one.")
        self._delete(gone, rows)
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
        """Return exactly ``n`` results of each query, or all there are; ties by id.

        The same for any number of threads and for any batch that a query is asked in. Of equal distances are those
        whose squares are equal in float32; where fewer than ``n`` are found, the search widens until there are.

        Args:
            queries: float32 (q, d).
            n: results per query; all that every query can have where the index holds fewer.
            exclude: id left out of each query's results (the query itself), or -1; int64 (q,).
            threads: 0 means one per core.
            progress: shows queries done.
            knobs: see ``KNOBS``.

        Returns:
            A ranking whose ``rows`` are ids.

        Raises:
            UsageError: shapes do not fit, values are not finite, or an id or a knob is unknown.
        """
        queries = self._checked(queries, "Queries", self.width)
        if n < 1:
            raise UsageError(f"A search must return at least one result, got n={n}.")
        chosen = self._chosen(knobs, self.DEFAULTS, "search knob")
        left_out = self._left_out(exclude, len(queries))
        n = min(n, len(self) - int(bool((left_out >= 0).any())))
        if not (n and len(queries)):
            none = np.zeros(len(queries), np.int64)
            return Ranking(np.empty((len(queries), n), np.int64), np.empty((len(queries), n), np.float32), none, none)
        found = self._search(self.prepared(queries), n, left_out, chosen, threads, progress)
        return Ranking(self._ids[found.rows], self._distances(found.distances), found.scanned, found.probes)

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
        """Return the vectors as the index knows them, float32 (m, d), in the space of :meth:`prepared` queries.

        Args:
            ids: of those wanted; all, in order of id, where not given.

        Raises:
            UsageError: an id is not in the index.
        """
        if ids is None:
            return self._decoded(np.arange(len(self)))
        return self._decoded(self._rows(np.asarray(ids, np.int64), "decoded"))

    def rows(self, ids: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the rows of :meth:`decoded` at which ids stand, int64 of the same shape.

        Raises:
            UsageError: an id is not in the index.
        """
        return self._rows(np.asarray(ids, np.int64), "turned into a row")

    def save(self, folder: Path) -> None:
        """Write the index into a folder: beside it, flushed, then renamed, so that a killed save leaves the old one.

        Raises:
            UsageError: the folder holds something that is no index.
            AeretError: it cannot be written (:func:`aeret.artifacts.system_error`).
        """
        with replacing_folder(Path(folder), MANIFEST) as partial:
            np.save(partial / "ids.npy", self._ids)
            self._write(partial)
            files = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
            facts = {"kind": self.name, "version": VERSION, "metric": self.metric, "width": self.width}
            write_json(partial / MANIFEST, {**facts, "vectors": len(self), "options": self.options, "files": files})

    @classmethod
    def load(cls, folder: Path, mmap: bool = True) -> Self:
        """Open what :meth:`save` wrote; memory-mapped where the format allows.

        Raises:
            DataError: the folder holds no index of this kind, or a damaged one.
        """
        folder = Path(folder)
        facts = read_manifest(folder)
        if facts["kind"] != cls.name:
            raise DataError(f"{folder}: holds an index of kind {facts['kind']!r}, not {cls.name!r}; use open_index.")
        try:
            index = cls(facts["metric"], facts["width"], facts["options"])
            index._ids = _opened(folder / "ids.npy", mmap)
            if len(index) != facts["vectors"]:
                raise ValueError(f"{len(index)} ids of {facts['vectors']}")
            index._read(folder, mmap)
        # RuntimeError is what faiss raises.
        except (OSError, KeyError, ValueError, EOFError, RuntimeError) as error:
            raise _damaged(folder, error) from None
        return index

    # What an index brings.

    @abstractmethod
    def _build(self, vectors: NDArray[Any], seed: int, progress: Progress) -> None:
        """Train and fill; ``vectors`` are prepared, float32 (n, d), in order of row."""

    @abstractmethod
    def _insert(self, vectors: NDArray[Any], ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Add prepared vectors, which take these rows of the numbering after; ids and rows ascend."""

    @abstractmethod
    def _delete(self, ids: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Remove rows; ids and rows ascend."""

    @abstractmethod
    def _decoded(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return the vectors of rows as the index knows them."""

    @abstractmethod
    def _state(self) -> dict[str, NDArray[Any]]:
        """Return all arrays of the index but the ids; each is saved as ``<name>.npy``."""

    @abstractmethod
    def _restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take the arrays of :meth:`_state` back, memory-mapped as they may be; writing to them changes no file."""

    def _search_block(
        self, queries: NDArray[Any], n: int, exclude: NDArray[np.int64], knobs: Mapping[str, Any]
    ) -> Block:
        """Search for a block of prepared queries, on the calling thread alone.

        Args:
            queries: prepared, float32 (b, d).
            n: results of each, which there are.
            exclude: row left out or -1, int64 (b,).
            knobs: all of ``DEFAULTS``, and as given.

        Returns:
            See ``Block``; raw distances are squared (``cosine``, ``euclidean``), negated products or bits, and rise.
        """
        raise NotImplementedError

    def _search(
        self,
        queries: NDArray[Any],
        n: int,
        exclude: NDArray[np.int64],
        knobs: Mapping[str, Any],
        threads: int,
        progress: Progress,
    ) -> Ranking:
        """Return rows and raw distances; see :meth:`_search_block`."""

        def work(start: int, stop: int) -> Block:
            return self._search_block(queries[start:stop], n, exclude[start:stop], knobs)

        # A small batch is divided among the threads, unless it is hardly worth one.
        size = min(self.BLOCK, max(_LEAST_BLOCK, -(-len(queries) // (threads or cores()))))
        with progress(f"search, {self.name}", len(queries), unit="query") as step:
            parts = list(over_blocks(len(queries), size, work, threads, step))
        rows, raw, scanned, probes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return Ranking(rows, raw, scanned, probes)

    def _write(self, folder: Path) -> None:
        for name, array in self._state().items():
            np.save(folder / f"{name}.npy", array)

    def _read(self, folder: Path, mmap: bool) -> None:
        names = [path for path in sorted(folder.glob("*.npy")) if path.name != "ids.npy"]
        self._restore({path.stem: _opened(path, mmap) for path in names})

    def _bytes(self) -> int:
        return sum(array.nbytes for array in self._state().values())

    @classmethod
    def _checked(cls, vectors: NDArray[Any], name: str, width: int | None) -> NDArray[Any]:
        """Return vectors checked and contiguous; ``width`` is what they must have."""
        return checked(np.asarray(vectors), name, width)

    # What the public methods share.

    def _distances(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.metric == "cosine":
            return raw / np.float32(2)  # of unit vectors, |a - b|^2 = 2 - 2 cos
        return np.sqrt(raw) if self.metric == "euclidean" else raw

    @classmethod
    def _chosen(cls, given: Mapping[str, Any], defaults: Mapping[str, Any], what: str) -> dict[str, Any]:
        for name, value in given.items():
            usual = lookup(defaults, name, f"{what} of the index {cls.name}")
            if isinstance(usual, str):
                if not isinstance(value, str):
                    raise UsageError(f"{name} of the index {cls.name} must be a word, got {value!r}.")
                if name in cls.KNOBS:
                    lookup(dict.fromkeys(map(str, cls.KNOBS[name])), value, name)
            elif not _is_like(value, usual, endless=defaults is cls.DEFAULTS):
                raise UsageError(
                    f"{name} of the index {cls.name} must be a number like {usual!r}, not below 0; got {value!r}."
                )
        return {**defaults, **given}

    def _rows(self, ids: NDArray[np.int64], what: str) -> NDArray[np.int64]:
        rows = np.searchsorted(self._ids, ids)
        unknown = ids[self._ids[np.minimum(rows, len(self) - 1)] != ids]
        if len(unknown):
            raise UsageError(f"Id {unknown[0]} cannot be {what}: the index does not hold it ({len(unknown)} such ids).")
        return rows

    def _left_out(self, exclude: NDArray[np.integer] | None, queries: int) -> NDArray[np.int64]:
        rows = np.full(queries, -1, np.int64)
        if exclude is None:
            return rows
        ids = np.asarray(exclude)
        if ids.shape != (queries,) or ids.dtype.kind not in "iu":
            raise UsageError(
                f"exclude must name one id (or -1) per query, {queries} integers; got {ids.dtype} of shape {ids.shape}."
            )
        some = ids != -1
        rows[some] = self._rows(ids[some].astype(np.int64), "excluded")
        return rows


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what ``index.json`` holds, after a look at the files beside it.

    Raises:
        DataError: the folder holds no index, one of another version, or a damaged one.
    """
    path = restored(folder) / MANIFEST
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["version"] != VERSION:
            raise DataError(
                f"{folder}: the index has format {facts['version']}, and this version of aeret reads {VERSION}; "
                "build it again."
            )
        for name, size in facts["files"].items():
            there = (folder / name).stat().st_size
            if there != size:
                raise ValueError(f"{name} has {there} bytes of {size}")
        for name in ("kind", "metric", "width", "vectors", "options"):
            facts[name]
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = Path(str(error.filename)).name
        if missing == MANIFEST:
            raise DataError(f"{folder}: holds no index (there is no {MANIFEST}).") from None
        raise _damaged(folder, f"{missing} is missing") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, error) from None
    return dict(facts)


def inserted(array: NDArray[Any], values: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return an array in which ``values`` take the given ascending rows of the numbering after."""
    return np.insert(array, rows - np.arange(len(rows)), values, axis=0)


def _opened(path: Path, mmap: bool) -> NDArray[Any]:
    # Copy on write: kernels compiled for arrays that can be written to would be compiled again for those that cannot.
    return np.asarray(np.load(path, mmap_mode="c" if mmap else None, allow_pickle=False))


def _damaged(folder: Path, error: object) -> DataError:
    return DataError(f"{folder}: holds a damaged index ({error}); build it again.")


def _is_fixed(array: NDArray[Any]) -> bool:
    """Return whether an array lies in a file that was mapped for reading only."""
    holder: Any = array
    while isinstance(holder, np.ndarray):
        if isinstance(holder, np.memmap) and holder.mode == "r":
            return True
        holder = holder.base
    return False


def _is_like(value: object, usual: object, endless: bool) -> bool:
    if isinstance(value, bool) or isinstance(usual, bool):
        return isinstance(value, bool) and isinstance(usual, bool)
    if not isinstance(value, int | float) or not value >= 0:
        return False
    return (endless and math.isinf(value)) or isinstance(usual, float) or int(value) == value


def _checked_ids(ids: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    whole = np.asarray(ids)
    if whole.shape != (count,) or (count and whole.dtype.kind not in "iu"):
        raise UsageError(f"ids must be {count} integers, one a vector; got {whole.dtype} of shape {whole.shape}.")
    whole = whole.astype(np.int64)
    ordered = np.sort(whole)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise UsageError(f"ids must be unique; {twice[0]} is given twice.")
    if count and ordered[0] < 0:
        raise UsageError(f"ids must not be negative (-1 means none), got {ordered[0]}.")
    return whole


def _by_id(vectors: NDArray[Any], ids: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    if (ids[1:] > ids[:-1]).all():
        return vectors, ids
    order = np.argsort(ids)
    return np.ascontiguousarray(vectors[order]), ids[order]
