"""Indexes: one small protocol (:class:`~aeret.retrieval.indexes.index.Index`), one file each."""

from __future__ import annotations

from pathlib import Path

from aeret.errors import DataError
from aeret.retrieval.indexes.flat import Flat
from aeret.retrieval.indexes.index import Index, read_manifest

INDEXES: dict[str, type[Index]] = {
    Flat.name: Flat,
}


def open_index(folder: Path, mmap: bool = True) -> Index:
    """Open an index of any kind that ``Index.save`` wrote.

    Raises:
        DataError: the folder holds no index, a damaged one, or one of a kind that is not known here.
    """
    kind = read_manifest(Path(folder))["kind"]
    if kind not in INDEXES:
        raise DataError(f"{folder}: holds an index of the unknown kind {kind!r}. Known: {', '.join(INDEXES)}.")
    return INDEXES[kind].load(folder, mmap)
