"""Precision, recall, F, average precision and nDCG: by hand, and against ir-measures."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, P, R, nDCG

from aeret.errors import UsageError
from aeret.evaluation.average_precision import LEVELS, average_precision_at, walk
from aeret.retrieval.bits import words_of_bools
from aeret.evaluation.ndcg import dcg, discounts, ideal_dcg, ndcg_at
from aeret.evaluation.precision_recall import (
    capped_recall_at,
    class_precision_at,
    f_at,
    hit_at,
    precision_at,
    recall_at,
)


@pytest.fixture(scope="module")
def gains() -> np.ndarray:
    """Integer gains of a whole gallery in ranked order, (12, 40), the first query without any."""
    grid = np.random.default_rng(0).choice([0, 0, 0, 1, 2, 5], size=(12, 40))
    grid[0] = 0
    return grid


def peer(gains: np.ndarray, measures: list[object]) -> dict[str, np.ndarray]:
    qrels = {str(q): {str(d): int(g) for d, g in enumerate(row)} for q, row in enumerate(gains)}
    run = {str(q): {str(d): float(-d) for d in range(len(row))} for q, row in enumerate(gains)}
    values = {str(m): np.full(len(gains), np.nan) for m in measures}
    for metric in ir_measures.iter_calc(measures, qrels, run):
        values[str(metric.measure)][int(metric.query_id)] = metric.value
    return values


def test_measures_agree_with_ir_measures(gains: np.ndarray) -> None:
    expected = peer(gains, [P @ 5, P @ 10, R @ 5, AP, AP @ 10, nDCG @ 10, nDCG @ 3])
    hits, relevant = gains > 0, (gains > 0).sum(axis=1)
    real = gains.astype(np.float32)
    found = {
        "P@5": precision_at(hits, relevant, 5),
        "P@10": precision_at(hits, relevant, 10),
        "R@5": recall_at(hits, relevant, 5),
        "AP": average_precision_at(hits, relevant, 40),
        # ir-measures divides AP@10 by all relevant, we by those that fit.
        "AP@10": average_precision_at(hits, relevant, 10) * np.minimum(relevant, 10) / np.maximum(relevant, 1),
        "nDCG@10": ndcg_at(real, ideal_dcg(real, 10), 10),
        "nDCG@3": ndcg_at(real, ideal_dcg(real, 3), 3),
    }
    for name, values in found.items():
        assert np.isnan(values[0]), name
        np.testing.assert_allclose(values[1:], expected[name][1:], rtol=1e-6, err_msg=name)


def test_by_hand() -> None:
    hits, relevant = np.array([[1, 0, 1, 0], [0, 0, 0, 0]], bool), np.array([3, 2])
    assert precision_at(hits, relevant, 3).tolist() == [2 / 3, 0]
    assert recall_at(hits, relevant, 3).tolist() == [2 / 3, 0]
    assert capped_recall_at(hits, relevant, 2).tolist() == [1 / 2, 0]
    assert capped_recall_at(hits, relevant, 4).tolist() == [2 / 3, 0]  # no more than three could be found
    assert np.isnan(capped_recall_at(hits, np.array([2, 0]), 4)[1])
    assert f_at(hits, relevant, 4).tolist() == [4 / 7, 0]
    assert hit_at(hits, relevant, 1).tolist() == [1, 0]
    assert precision_at(hits, relevant, 8).tolist() == [0.25, 0]  # a short gallery does not shorten the denominator
    np.testing.assert_allclose(average_precision_at(hits, relevant, 2), [0.5, 0])
    np.testing.assert_allclose(average_precision_at(hits, relevant, 4), [(1 + 2 / 3) / 3, 0])
    np.testing.assert_allclose(discounts(3), [1, 1 / np.log2(3), 0.5])
    np.testing.assert_allclose(dcg(np.array([[0.5, 0, 1]], np.float32), 3), [1.0])
    assert ideal_dcg(np.zeros((2, 0), np.float32), 5).tolist() == [0, 0]
    with pytest.raises(UsageError, match="at least 1"):
        precision_at(hits, relevant, 0)


def test_f_is_the_harmonic_mean(gains: np.ndarray) -> None:
    hits, relevant = gains > 0, (gains > 0).sum(axis=1)
    p, r = precision_at(hits, relevant, 7), recall_at(hits, relevant, 7)
    np.testing.assert_allclose(f_at(hits, relevant, 7)[1:], (2 * p * r / np.where(p + r > 0, p + r, 1))[1:])


def test_class_precision_by_hand() -> None:
    gallery = np.array([[1, 0], [1, 1], [0, 1]], bool)
    rows, queries = np.array([[0, 1], [2, 0]]), np.array([[1, 1], [1, 0]], bool)
    held = np.array([[2, 2], [0, 2]])
    found = class_precision_at(rows, queries, gallery, held, 2)
    np.testing.assert_array_equal(found, [[1, 0.5], [np.nan, np.nan]])


def slow_curve(hits: np.ndarray) -> list[float]:
    found = np.cumsum(hits)
    precision, recall = found / np.arange(1, len(hits) + 1), found / found[-1]
    levels = np.arange(LEVELS) / 100
    return [float(precision[recall >= level - 1e-12].max()) for level in levels]


@pytest.mark.parametrize("classes", [7, 90])
def test_walks_agree_with_the_definitions(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = rng.random((60, classes)) < 0.15
    labels[1] = False
    words = words_of_bools(labels)
    for query in range(12):
        order = rng.permutation(60).astype(np.int32)
        own, curve = np.flatnonzero(labels[query]), np.empty(LEVELS)
        by_class = np.empty(len(own))
        found = walk(order, query, words[query], words, own, by_class, curve)
        kept = order[order != query]
        hits = (labels[kept] & labels[query]).any(axis=1)
        if not hits.any():
            assert np.isnan(found)
            assert np.isnan(curve).all()
            continue
        assert found == pytest.approx(average_precision_at(hits[None], np.array([hits.sum()]), 59)[0])
        np.testing.assert_allclose(curve, slow_curve(hits))
        for place, c in enumerate(own):
            one = labels[kept, c][None]
            np.testing.assert_allclose(by_class[place], average_precision_at(one, one.sum(axis=1), 59)[0])
