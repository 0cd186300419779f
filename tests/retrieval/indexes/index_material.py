"""Vectors and codes for any kind of index, and exact search to hold it against."""

from __future__ import annotations

from typing import Any

import numpy as np

from aeret.retrieval.indexes import INDEXES, Index
from aeret.retrieval.indexes.scoring import raw_distances
from aeret.retrieval.ranking import Ranking


def material(kind: str, seed: int, count: int, width: int = 8, ties: bool = False) -> np.ndarray:
    """Vectors, float32 (n, width), or codes of 64 bits; with ``ties``, of few different values."""
    rng = np.random.default_rng(seed)
    if "hamming" in INDEXES[kind].METRICS:
        return (
            rng.choice([0, 1, 3], (count, 8)).astype(np.uint8) if ties else rng.integers(0, 256, (count, 8), np.uint8)
        )
    if ties:
        return rng.integers(0, 3, (count, width)).astype(np.float32)
    return rng.standard_normal((count, width)).astype(np.float32)


def exhaustively(index: Index, queries: np.ndarray) -> np.ndarray:
    """Raw distances (q, n) of queries to what the index holds, in order of id."""
    if index.metric == "hamming":
        return np.bitwise_count(queries[:, None] ^ index.decoded()).sum(axis=2).astype(np.float32)
    return raw_distances(index.prepared(queries), index.decoded(), index.metric == "dot")


def expected_ids(index: Index, queries: np.ndarray, n: int, exclude: np.ndarray | None = None) -> np.ndarray:
    far = exhaustively(index, queries)
    if exclude is not None:
        for i in np.flatnonzero(exclude >= 0):
            far[i, index.ids == exclude[i]] = np.inf
    return index.ids[np.argsort(far, axis=1, kind="stable")[:, :n]]


def everything(kind: str) -> dict[str, Any]:
    """The value of every knob at which the search is exact."""
    return {name: values[-1] for name, values in INDEXES[kind].KNOBS.items()}


def assert_same(one: Ranking, other: Ranking) -> None:
    for name in ("rows", "distances", "scanned", "probes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
