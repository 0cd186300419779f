"""Register the kinds of index under their names."""

from __future__ import annotations

from pathlib import Path

from aeret.errors import DataError
from aeret.retrieval.indexes.binary import BinaryFlat, BinaryMulti
from aeret.retrieval.indexes.cluster_first import ClusterFirst
from aeret.retrieval.indexes.coded import ProductCodes, RotatedCodes, ScalarCodes, VectorCodes
from aeret.retrieval.indexes.files import read_manifest
from aeret.retrieval.indexes.flat import Flat
from aeret.retrieval.indexes.index import Index
from aeret.retrieval.indexes.inverted import InvertedFlat, InvertedProductCodes
from aeret.retrieval.indexes.trees import HkTree, KdTree
from aeret.retrieval.indexes.whole import Hnsw, Lsh

_KINDS: tuple[type[Index], ...] = (
    Flat,
    ClusterFirst,
    InvertedFlat,
    InvertedProductCodes,
    ProductCodes,
    RotatedCodes,
    VectorCodes,
    ScalarCodes,
    Hnsw,
    KdTree,
    HkTree,
    Lsh,
    BinaryFlat,
    BinaryMulti,
)
INDEXES: dict[str, type[Index]] = {kind.name: kind for kind in _KINDS}
"""Name to index."""


def open_index(folder: Path, mmap: bool = True) -> Index:
    """Open an index of any kind that ``Index.save`` wrote.

    Raises:
        DataError: the folder holds no index, a damaged one, or one of an unknown kind.
    """
    kind = read_manifest(Path(folder))["kind"]
    if kind not in INDEXES:
        raise DataError(f"{folder}: holds an index of the unknown kind {kind!r}. Known: {', '.join(INDEXES)}.")
    return INDEXES[kind].load(folder, mmap)
