from __future__ import annotations

import numpy as np
import pytest

from aeret.errors import UsageError
from aeret.evaluation.query_by_layout import LayoutCodes, code_r2, own_ranks


def test_ranks_are_those_of_sorted_similarity() -> None:
    rng = np.random.default_rng(0)
    own, predicted = (rng.standard_normal((150, 6)).astype(np.float32) for _ in range(2))
    cosine = (own @ predicted.T) / np.linalg.norm(own, axis=1)[:, None] / np.linalg.norm(predicted, axis=1)
    for similarity, score in (
        ("cosine", cosine),
        ("euclidean", -((own[:, None] - predicted[None]) ** 2).sum(axis=2)),
    ):
        expected = 1 + (score > np.diag(score)[:, None]).sum(axis=1)
        np.testing.assert_array_equal(own_ranks(LayoutCodes(own, predicted), similarity), expected)


def test_perfect_codes_come_first_and_one_code_for_all_comes_last() -> None:
    own = np.random.default_rng(0).standard_normal((20, 4)).astype(np.float32)
    assert (own_ranks(LayoutCodes(own, own)) == 1).all()
    assert (own_ranks(LayoutCodes(own, np.ones_like(own))) == 20).all()


def test_only_candidates_are_ranked() -> None:
    rng = np.random.default_rng(0)
    codes = LayoutCodes(*(rng.standard_normal((30, 4)).astype(np.float32) for _ in range(2)))
    chosen = np.arange(30) % 3 == 0
    ranks = own_ranks(codes, "euclidean", chosen)
    alone = own_ranks(LayoutCodes(codes.own[chosen], codes.predicted[chosen]), "euclidean")
    np.testing.assert_array_equal(ranks[chosen], alone)
    assert not ranks[~chosen].any()


def test_r2_by_hand() -> None:
    own = np.array([[0.0, 0], [2, 0], [1, 3]], np.float32)
    assert code_r2(LayoutCodes(own, own)) == 1
    assert code_r2(LayoutCodes(own, np.repeat(own.mean(axis=0)[None], 3, axis=0))) == pytest.approx(0)
    assert code_r2(LayoutCodes(own, own + 1)) == pytest.approx(1 - 6 / 8)
    assert np.isnan(code_r2(LayoutCodes(own[:1], own[:1])))
    assert np.isnan(code_r2(LayoutCodes(own[:0], own[:0])))


def test_misuse_is_explained() -> None:
    own = np.ones((3, 2), np.float32)
    with pytest.raises(UsageError, match="same shape"):
        own_ranks(LayoutCodes(own, own[:, :1]))
    with pytest.raises(UsageError, match="cosine, euclidean"):
        own_ranks(LayoutCodes(own, own), "manhattan")
    with pytest.raises(UsageError, match="row 0"):
        own_ranks(LayoutCodes(own, own * np.nan))


@pytest.mark.parametrize("similarity", ["dot", "hamming"])
def test_ranks_of_other_similarities_are_counted_by_the_formula(similarity: str) -> None:
    rng = np.random.default_rng(8)
    own = rng.standard_normal((20, 6)).astype(np.float32)
    predicted = (own + rng.standard_normal((20, 6))).astype(np.float32)
    far = -own @ predicted.T if similarity == "dot" else ((own > 0)[:, None] != (predicted > 0)[None]).sum(axis=2)
    expected = (far <= np.diagonal(far)[:, None]).sum(axis=1)
    assert own_ranks(LayoutCodes(own, predicted), similarity).tolist() == expected.tolist()
