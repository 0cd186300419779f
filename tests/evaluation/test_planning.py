"""A plan's choice, on trials made by hand and on a gallery where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from aeret.errors import UsageError
from aeret.evaluation.planning import Budget, Question, Trial, _chosen, _with_front, candidates, plan, plan_table


def trial(index: str, value: float, ms: float, megabytes: float, fits: bool = True, noise: float = 0.0) -> Trial:
    values = value + noise * np.tile([1.0, -1.0], 50)
    return Trial(index, {}, {}, value, value, value, 1.0, ms, 8.0, megabytes, 0.0, values, fits=fits)


def chosen(trials):
    return next((each.index for each in _chosen(_with_front(trials), 0) if each.chosen), None)


def test_the_best_within_the_budget_is_chosen_not_the_best():
    assert chosen([trial("big", 0.9, 1, 10, fits=False), trial("a", 0.8, 1, 5), trial("b", 0.7, 1, 1)]) == "a"


def test_of_those_that_differ_by_no_more_than_chance_the_smallest_is_chosen():
    assert chosen([trial("a", 0.80, 1, 5), trial("b", 0.79, 9, 1, noise=0.2), trial("c", 0.60, 1, 0.1)]) == "b"


def test_a_small_but_certain_loss_is_not_as_good():
    # Each of both varies much over queries, but from query to query they differ by the same.
    assert chosen([trial("a", 0.80, 1, 5, noise=0.2), trial("b", 0.79, 1, 1, noise=0.2)]) == "a"


def test_nothing_is_chosen_where_nothing_fits():
    assert chosen([trial("a", 0.8, 1, 5, fits=False)]) is None


def test_the_front_is_what_nothing_beats_in_all_three():
    front = {
        each.index: each.pareto
        for each in _with_front(
            [
                trial("best", 0.9, 5, 5),
                trial("fast", 0.5, 1, 5),
                trial("small", 0.5, 5, 1),
                trial("beaten", 0.5, 5, 5),
                trial("equal", 0.9, 5, 5),
            ]
        )
    }
    assert front == {"best": True, "fast": True, "small": True, "beaten": False, "equal": True}


def test_candidates_cut_vectors_into_equal_parts_and_leave_codes_out():
    found = list(candidates(24, ("pq", "sq", "flat", "binary-flat")))
    parts = [("pq", {"parts": 12}), ("pq", {"parts": 6}), ("pq", {"parts": 3})]
    assert found == [*parts, ("sq", {"bits": 8}), ("sq", {"bits": 4}), ("flat", {})]


def test_a_plan_measures_each_trial_by_the_task_and_not_by_recall():
    rng = np.random.default_rng(0)
    kind = np.arange(120) % 4
    vectors = (np.eye(4, 16)[kind] + rng.normal(0, 0.05, (120, 16))).astype(np.float32)

    def score(ranking):
        return (kind[ranking.rows] == kind[:, None]).mean(axis=1)

    budget = Budget(1.0, 1000.0)
    trials = plan(Question(vectors, vectors, np.arange(120), 10, score), budget, ("flat", "sq"), threads=1)
    frame = plan_table(trials).set_index(["index", "options"])
    assert frame.loc[("flat", ""), "recall"] == 1
    assert (frame["value"] == 1).all()
    assert frame.loc[("sq", "bits=4"), "chosen"]
    assert frame.loc[("sq", "bits=4"), "recall"] < 1
    assert frame["megabytes"].to_numpy() == pytest.approx(frame["bytes_per_photo"].to_numpy() * 120 / 1e6)


def test_strict_order_is_tried_once_whatever_the_probes():
    vectors = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    question = Question(vectors, vectors, np.arange(60), 5, lambda ranking: np.ones(60))
    trials = plan(question, Budget(1, 1e4), ("cluster-first",))
    assert [trial.knobs["order"] for trial in trials].count("sequential") == 1


def test_what_cannot_be_built_is_noted_and_a_plan_of_nothing_is_refused():
    vectors = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    notes: list[str] = []
    question = Question(vectors, vectors, np.arange(40), 5, lambda ranking: np.zeros(40))
    with pytest.raises(UsageError, match="None of the indexes"):
        plan(question, Budget(1, 1), ("binary-flat",), note=notes.append)
