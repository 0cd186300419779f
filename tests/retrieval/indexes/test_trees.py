"""kd-tree and hierarchical k-means tree: beside what the contract covers, their own promises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_material import assert_alike
from sklearn.neighbors import KDTree

from aeret.errors import UsageError
from aeret.retrieval.indexes.flat import Flat
from aeret.retrieval.indexes.index import EVERYTHING
from aeret.retrieval.indexes.trees import HkTree, KdTree, Tree

TREES = pytest.mark.parametrize("tree", [KdTree, HkTree])


def points(count: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


@TREES
@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), count=st.integers(2, 90), width=st.integers(1, 5), leaf=st.integers(1, 9))
def test_all_checks_equal_exact_search_also_after_changes(
    tree: type[Tree], seed: int, count: int, width: int, leaf: int
) -> None:
    rng = np.random.default_rng(seed)
    # Small integers: ties abound, and boxes and results share borders.
    vectors = rng.integers(-2, 3, (count, width)).astype(np.float32)
    metric = ["cosine", "euclidean"][seed % 2]
    options = {"leaf": leaf, "branching": 3} if tree is HkTree else {"leaf": leaf}
    index, flat = tree.build(vectors, metric=metric, **options), Flat.build(vectors, metric=metric)
    more = 3 * rng.integers(-2, 3, (20, width)).astype(np.float32)
    for each in (index, flat):
        each.add(more, ids=np.arange(1000, 1020))
        each.remove(np.array([1, 1003]))
    exclude = np.where(rng.random(count) < 0.5, 0, -1)
    found = index.search(vectors, 7, exclude=exclude, checks=EVERYTHING)
    wanted = flat.search(vectors, 7, exclude=exclude)
    assert_alike(found, wanted)


def test_few_boxes_are_opened_in_few_dimensions_and_results_are_those_of_scikit_learn() -> None:
    vectors, queries = points(5000, 2), points(40, 2, seed=1)
    found = KdTree.build(vectors, metric="euclidean").search(queries, 5, checks=300)
    far, rows = KDTree(vectors).query(queries, 5)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_allclose(found.distances, far, rtol=1e-5)
    assert found.scanned.mean() < 400 and found.probes.mean() < 9


@TREES
def test_more_checks_find_more(tree: type[Tree]) -> None:
    vectors = points(4000, 16)
    index, exact = tree.build(vectors, metric="euclidean"), Flat.build(vectors, metric="euclidean")
    wanted = exact.search(vectors[:60], 10)
    recalls = []
    for checks in (50, 400, 2000, EVERYTHING):
        found = index.search(vectors[:60], 10, checks=checks)
        recalls.append(found.agreement(wanted, 10).mean())
        assert (found.scanned >= min(checks, 3500)).all() and (found.scanned <= min(checks + 80, 4000)).all()
    assert recalls == sorted(recalls) and recalls[-1] == 1.0 > recalls[0] > 0.1


@TREES
def test_equal_vectors_share_a_leaf_or_not_but_are_found_by_id(tree: type[Tree]) -> None:
    index = tree.build(np.ones((200, 3), np.float32), metric="euclidean")
    np.testing.assert_array_equal(index.search(np.ones((1, 3)), 200).rows[0], np.arange(200))


def test_the_seed_decides_the_tree(tmp_path: Path) -> None:
    vectors = points(600, 8)
    first, same, other = (HkTree.build(vectors, seed=seed, leaf=20).search(vectors, 5, checks=60) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.rows, same.rows)
    assert (first.scanned == same.scanned).all() and (first.scanned != other.scanned).any()


def test_leaves_keep_their_limits() -> None:
    for index, most in (
        (HkTree.build(points(1000, 4), branching=5, leaf=30), 30),
        (KdTree.build(points(1000, 4), leaf=30), 60),
    ):
        assert index._sizes.sum() == 1000
        assert index._sizes.max() <= most


@pytest.mark.parametrize(
    ("tree", "options", "message"),
    [
        (KdTree, {"leaf": 0}, "leaf of the index .* from 1 .* got 0"),
        (HkTree, {"leaf": 0}, "leaf of the index .* from 1 .* got 0"),
        (HkTree, {"branching": 1}, "branching of the index hk-tree .* from 2 .* got 1"),
        (HkTree, {"iterations": 0}, "iterations of the index hk-tree .* got 0"),
    ],
)
def test_impossible_trees(tree: type[Tree], options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        tree.build(points(9, 2), **options)
