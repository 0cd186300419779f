from __future__ import annotations

import numpy as np
import pytest
from slow_measures import discounted, value

from aeret.evaluation.floors import (
    query_free_order,
    query_free_rows,
    random_average_precision,
    random_hit_rate,
    random_hits,
    random_ndcg,
)
from aeret.evaluation.measures import random_floors
from aeret.evaluation.metrics import Judge, parse
from aeret.evaluation.relevance import Truth


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
    orders = orders_of(relevant, candidates).astype(int).tolist()
    r, m = np.array([relevant]), np.array([candidates])

    def over_orders(name: str) -> float:
        return float(np.mean([value(parse(name), order, sorted(order, reverse=True)) for order in orders]))

    assert random_hits(r, m, n)[0] / n == pytest.approx(over_orders(f"P@{n}"))
    assert random_hit_rate(r, m, n)[0] == pytest.approx(over_orders(f"Hit@{n}"))
    assert random_average_precision(r, m, n)[0] == pytest.approx(over_orders(f"AP@{n}"))
    assert random_average_precision(r, m)[0] == pytest.approx(over_orders("AP"))
    labels = np.arange(candidates)[:, None] < relevant
    judge = Judge(Truth(np.ones((1, 1), bool), labels, np.array([-1])))
    named = random_floors(judge, (), (n,), n)
    for name in ("P(rel=any)", "R(rel=any)", "R(rel=any,capped)", "F(rel=any)"):
        assert named[f"{name}@{n}"][0] == pytest.approx(over_orders(f"{name}@{n}")), name


def test_random_ndcg_is_the_mean_over_shuffles() -> None:
    rng = np.random.default_rng(0)
    gains = rng.random(12).astype(np.float32)
    ideal = discounted(sorted(gains, reverse=True), 10)
    expected = np.mean([discounted(rng.permutation(gains), 10) for _ in range(5_000)]) / ideal
    found = random_ndcg(np.array([gains.mean()], np.float64), np.array([ideal]), np.array([12]), 10)
    assert found[0] == pytest.approx(expected, abs=4e-3)


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
