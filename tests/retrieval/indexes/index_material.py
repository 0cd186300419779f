"""Vectors and codes for any kind of index, and exact search to hold it against."""

from __future__ import annotations

from typing import Any

import numpy as np

from aeret.embeddings.distances import squared_distances
from aeret.retrieval.indexes import INDEXES, Index
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
    asked, held = index.prepared(queries), index.decoded()
    return -(asked @ held.T) if index.metric == "dot" else squared_distances(asked, held)


def assert_exact(index: Index, queries: np.ndarray, found: Ranking, n: int, exclude: np.ndarray | None = None) -> None:
    """The results are the nearest of what the index holds; of equal distances the lower id comes first."""
    far = exhaustively(index, queries)
    if exclude is not None:
        for i in np.flatnonzero(exclude >= 0):
            far[i, index.ids == exclude[i]] = np.inf
    rows = np.searchsorted(index.ids, found.rows)
    assert found.rows.shape == (len(queries), n)
    assert all(len(set(row)) == n for row in rows.tolist())
    np.testing.assert_allclose(np.take_along_axis(far, rows, axis=1), np.sort(far, axis=1)[:, :n], rtol=1e-5, atol=1e-4)
    steps = np.diff(found.distances, axis=1)
    assert (steps >= 0).all()
    if index.name != "cluster-first" or index.metric != "cosine":  # whose squares are rounded to distances and back
        assert (np.diff(found.rows, axis=1)[steps == 0] > 0).all()


def everything(kind: str) -> dict[str, Any]:
    """The value of every knob at which the search is exact."""
    return {name: values[-1] for name, values in INDEXES[kind].KNOBS.items()}


def assert_same(
    one: Ranking, other: Ranking, fields: tuple[str, ...] = ("rows", "distances", "scanned", "probes")
) -> None:
    for name in fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def assert_alike(one: Ranking, other: Ranking) -> None:
    """Distances agree to 1e-5, and rows where no other distance is as near as that."""
    np.testing.assert_allclose(one.distances, other.distances, rtol=1e-5, atol=1e-5)
    near = np.diff(one.distances, axis=1) < 1e-4
    edge = np.ones((len(one), 1), bool)
    unsure = np.concatenate([near, edge], axis=1) | np.concatenate([~edge, near], axis=1)
    np.testing.assert_array_equal(one.rows[~unsure], other.rows[~unsure])
