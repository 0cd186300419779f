"""Indexes: one small protocol (:class:`~aeret.retrieval.indexes.index.Index`), one file each."""

from __future__ import annotations

from pathlib import Path

from aeret.errors import DataError
from aeret.retrieval.indexes.binary_flat import BinaryFlat
from aeret.retrieval.indexes.binary_multi import BinaryMulti
from aeret.retrieval.indexes.cluster_first import ClusterFirst
from aeret.retrieval.indexes.flat import Flat
from aeret.retrieval.indexes.hk_tree import HkTree
from aeret.retrieval.indexes.index import Index, read_manifest
from aeret.retrieval.indexes.ivf_flat import InvertedFlat
from aeret.retrieval.indexes.ivf_pq import InvertedProductCodes
from aeret.retrieval.indexes.kd_tree import KdTree
from aeret.retrieval.indexes.lsh import Lsh
from aeret.retrieval.indexes.opq import RotatedCodes
from aeret.retrieval.indexes.pq import ProductCodes
from aeret.retrieval.indexes.sq import ScalarCodes
from aeret.retrieval.indexes.vq import VectorCodes

INDEXES: dict[str, type[Index]] = {
    Flat.name: Flat,
    ClusterFirst.name: ClusterFirst,
    InvertedFlat.name: InvertedFlat,
    InvertedProductCodes.name: InvertedProductCodes,
    ProductCodes.name: ProductCodes,
    RotatedCodes.name: RotatedCodes,
    VectorCodes.name: VectorCodes,
    ScalarCodes.name: ScalarCodes,
    KdTree.name: KdTree,
    HkTree.name: HkTree,
    Lsh.name: Lsh,
    BinaryFlat.name: BinaryFlat,
    BinaryMulti.name: BinaryMulti,
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
