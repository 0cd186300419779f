"""LSH: buckets by the sides of hyperplanes, opened in the order of what dividing them costs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeret.errors import UsageError
from aeret.retrieval.indexes.flat import Flat
from aeret.retrieval.indexes.index import EVERYTHING
from aeret.retrieval.indexes.lsh import Lsh


def points(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 90), tables=st.integers(1, 3), bits=st.integers(1, 6))
def test_all_probes_equal_exact_search_also_after_changes(seed: int, count: int, tables: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (count, 3)).astype(np.float32)
    metric = ["cosine", "euclidean"][seed % 2]
    index, flat = Lsh.build(vectors, metric=metric, tables=tables, bits=bits), Flat.build(vectors, metric=metric)
    for each in (index, flat):
        each.add(-vectors[:5], ids=np.arange(1000, 1000 + len(vectors[:5])))
        each.remove(np.array([1]))
    exclude = np.where(rng.random(count) < 0.5, 0, -1)
    wanted = flat.search(vectors, 7, exclude=exclude)
    # One bucket fewer than all there are is opened in order, not all at once; asking for everything widens to it.
    for knobs in ({"probes": EVERYTHING}, {"probes": 2**bits}):
        found = index.search(vectors, 7, exclude=exclude, **knobs)
        np.testing.assert_array_equal(found.rows, wanted.rows)
        np.testing.assert_array_equal(found.distances, wanted.distances)
    everything = index.search(vectors, len(index), probes=1, tables=1)
    np.testing.assert_array_equal(everything.rows, flat.search(vectors, len(index)).rows)


def test_buckets_are_opened_in_the_order_of_their_cost() -> None:
    vectors, query = points(2000, 6), points(1, 6, seed=1)
    index = Lsh.build(vectors, metric="euclidean", tables=2, bits=5)
    state = index._state()
    margins = np.einsum("d,tbd->tb", query[0] - state["mean"], state["planes"])
    order = []
    for table, flips in itertools.product(range(2), range(32)):
        flipped = np.array([flips >> b & 1 for b in range(5)], bool)
        bucket = sum(int((margins[table, b] > 0) != flipped[b]) << b for b in range(5))
        order.append(((margins[table][flipped] ** 2).sum(), table, bucket))
    # Both tables' own buckets cost nothing; after that costs differ.
    order.sort()
    for probes in range(1, 16):
        opened = order[: 2 * probes]
        members = np.unique(np.concatenate([np.flatnonzero(state["hashes"][t] == b) for _, t, b in opened]))
        found = index.search(query, 1, probes=probes)
        assert found.probes[0] == 2 * probes and found.scanned[0] == len(members)
        nearest = members[((vectors[members] - query) ** 2).sum(axis=1).argmin()]
        assert found.rows[0, 0] == nearest


def test_more_probes_and_more_tables_find_more() -> None:
    vectors = points(4000, 16)
    index = Lsh.build(vectors)
    wanted = Flat.build(vectors).search(vectors[:60], 10)
    by_probes = [index.search(vectors[:60], 10, probes=p).agreement(wanted, 10).mean() for p in (1, 8, 64)]
    by_tables = [index.search(vectors[:60], 10, probes=4, tables=t).agreement(wanted, 10).mean() for t in (1, 3, 8)]
    assert by_probes == sorted(by_probes) and by_probes[-1] > 0.9 > by_probes[0]
    assert by_tables == sorted(by_tables) and by_tables[0] < by_tables[-1]


def test_positive_vectors_are_spread_over_buckets() -> None:
    index = Lsh.build(np.abs(points(4096, 8)) + 1, metric="euclidean", bits=6)
    assert (np.bincount(index._state()["hashes"][0], minlength=64) > 0).sum() > 40


@pytest.mark.parametrize("options", [{"tables": 0}, {"tables": 300}, {"bits": 17}])
def test_impossible_tables(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="1 to 256 tables of 1 to 16 bits"):
        Lsh.build(points(9, 2), **options)
