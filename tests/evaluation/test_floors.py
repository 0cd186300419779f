from __future__ import annotations

import numpy as np
import pytest

from aeret.evaluation.average_precision import average_precision_at
from aeret.evaluation.floors import (
    query_free_order,
    query_free_rows,
    random_average_precision,
    random_hit_rate,
    random_hits,
    random_ndcg,
)
from aeret.evaluation.gallery_pass import GallerySums
from aeret.evaluation.measures import random_floors
from aeret.evaluation.ndcg import ideal_dcg, ndcg_at
from aeret.evaluation.precision_recall import capped_recall_at, f_at, hit_at, precision_at, recall_at


def orders_of(relevant: int, candidates: int) -> np.ndarray:
    """Every order of the hits, bool (orders, candidates): an exact expectation is their mean."""
    from itertools import combinations

    rows = np.zeros((0, candidates), bool)
    for places in combinations(range(candidates), relevant):
        row = np.zeros(candidates, bool)
        row[list(places)] = True
        rows = np.vstack([rows, row])
    return rows


@pytest.mark.parametrize(("relevant", "candidates"), [(1, 1), (1, 6), (3, 7), (6, 6), (2, 9)])
@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_expectations_are_means_over_all_orders(relevant: int, candidates: int, n: int) -> None:
    orders = orders_of(relevant, candidates)
    count = np.full(len(orders), relevant)
    r, m = np.array([relevant]), np.array([candidates])
    hits = random_hits(r, m, n)
    assert hits[0] / n == pytest.approx(precision_at(orders, count, n).mean())
    assert 2 * hits[0] / (n + relevant) == pytest.approx(f_at(orders, count, n).mean())
    assert random_hit_rate(r, m, n)[0] == pytest.approx(hit_at(orders, count, n).mean())
    assert random_average_precision(r, m, n)[0] == pytest.approx(average_precision_at(orders, count, n).mean())
    whole = average_precision_at(orders, count, candidates).mean()
    assert random_average_precision(r, m)[0] == pytest.approx(whole)
    named = random_floors(GallerySums(r, m, {}, {}, {}), (n,), n)
    for name, measure in (("R(rel=any)", recall_at), ("R(rel=any,capped)", capped_recall_at), ("F(rel=any)", f_at)):
        assert named[f"{name}@{n}"][0] == pytest.approx(measure(orders, count, n).mean()), name


def test_random_ndcg_is_the_mean_over_shuffles() -> None:
    rng = np.random.default_rng(0)
    gains = rng.random(12).astype(np.float32)
    shuffled = np.stack([rng.permutation(gains) for _ in range(20_000)])
    ideal = ideal_dcg(gains[None], 10)
    expected = ndcg_at(shuffled, np.repeat(ideal, len(shuffled)), 10).mean()
    found = random_ndcg(np.array([gains.mean()], np.float64), ideal, np.array([12]), 10)
    assert found[0] == pytest.approx(expected, abs=2e-3)


def test_a_query_without_relevant_photos_has_no_floor() -> None:
    assert np.isnan(random_average_precision(np.array([0]), np.array([5]))[0])
    assert np.isnan(random_ndcg(np.zeros(1), np.zeros(1), np.array([5]), 3)[0])
    assert random_hit_rate(np.array([0]), np.array([5]), 3)[0] == 0


def test_the_query_free_order_leaves_the_query_out() -> None:
    order = query_free_order(np.array([1.0, 5.0, 5.0, 0.0]))
    assert order.tolist() == [1, 2, 0, 3]
    assert query_free_rows(order, np.array([1, 3, -1]), 2).tolist() == [[2, 0], [1, 2], [1, 2]]
    assert query_free_rows(order, np.array([0]), 9).tolist() == [[1, 2, 3]]
    assert query_free_rows(order, np.array([-1]), 9).tolist() == [[1, 2, 0, 3]]
