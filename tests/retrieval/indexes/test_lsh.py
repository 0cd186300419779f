"""LSH and HNSW: what they promise beside the contract."""

from __future__ import annotations

import numpy as np
import pytest

from aeret.errors import UsageError
from aeret.retrieval.indexes.flat import Flat
from aeret.retrieval.indexes.index import Index
from aeret.retrieval.indexes.whole import Hnsw, Lsh


def points(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


@pytest.mark.parametrize(("kind", "knob", "values"), [(Lsh, "candidates", (1, 4, 32)), (Hnsw, "ef", (16, 32, 128))])
def test_more_effort_finds_more(kind: type[Index], knob: str, values: tuple[int, ...]) -> None:
    vectors = points(4000, 16)
    index = kind.build(vectors)
    wanted = Flat.build(vectors).search(vectors[:60], 10)
    found = [index.search(vectors[:60], 10, **{knob: value}) for value in values]
    recalls = [each.agreement(wanted, 10).mean() for each in found]
    assert recalls == sorted(recalls) and recalls[-1] > 0.9
    assert found[0].scanned.mean() < found[-1].scanned.mean() < 2000


def test_positive_vectors_are_told_apart_by_their_hashes() -> None:
    vectors = np.abs(points(4096, 8)) + 1
    index = Lsh.build(vectors, metric="euclidean", bits=64)
    wanted = Flat.build(vectors, metric="euclidean").search(vectors[:40], 10)
    assert index.search(vectors[:40], 10, candidates=8).agreement(wanted, 10).mean() > 0.5


@pytest.mark.parametrize(
    ("kind", "options"), [(Lsh, {"bits": 70_000}), (Hnsw, {"links": 1}), (Hnsw, {"breadth": 0}), (Hnsw, {"links": 999})]
)
def test_sizes_that_faiss_would_choke_on_are_refused(kind: type[Index], options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(options))} of the index {kind.name} must be from"):
        kind.build(points(9, 2), **options)
