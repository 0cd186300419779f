"""Feature selection: every technique keeps its contract, finds what was planted, and is measured on unseen examples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from aeret.errors import DataError, UnknownNameError, UsageError
from aeret.evaluation.feature_selection import TECHNIQUES
from aeret.evaluation.feature_selection.curves import grid, select_features
from aeret.evaluation.feature_selection.digits import digits
from aeret.evaluation.feature_selection.filters import binned, chi_squared, information_gain, mean_correlation
from aeret.evaluation.feature_selection.lasso import entry_scores
from aeret.evaluation.feature_selection.result import FeatureSelection, described
from aeret.evaluation.feature_selection.retrieval import retrieval
from aeret.evaluation.feature_selection.technique import Choice, Chosen, Effort, Subject
from aeret.progress import silent

PLANTED = (3, 7, 10)
QUICK = Effort(repetitions=6, block=1, population=8, generations=4, threads=1)
INFORMED = [name for name, each in TECHNIQUES.items() if each.kind != "order" and name != "variance"]


def choice(exclusive: bool = True) -> Choice:
    """Twelve variables of which three tell the label; a subset's score is how many of them it holds."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(3, size=150)
    labels = np.eye(3, dtype=bool)[kinds]
    variables = rng.normal(size=(150, 12))
    for place, variable in enumerate(PLANTED):
        variables[:, variable] += 4 * labels[:, place]
    if not exclusive:
        labels = np.column_stack([labels, rng.random(150) < 0.3])
    return Choice(variables, labels, lambda rows: float(np.isin(rows, PLANTED).sum()), picture=(3, 4))


def subject(measure: Callable[[Chosen], float] | None = None) -> Subject:
    chosen = choice()
    return Subject("toy", "A toy", "variables", "hits", chosen, measure or chosen.score, 0.0)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_technique_gives_as_many_different_variables_as_asked_for(name: str) -> None:
    given = choice()
    select, again = (TECHNIQUES[name].build(given, QUICK, 5) for _ in range(2))
    so_far = np.empty(0, np.int64)
    for count in (1, 2, 5, 11, 12):
        found = select(count, so_far)
        assert found.dtype == np.int64 and len(set(found.tolist())) == count == len(found)
        assert found.min() >= 0 and found.max() < 12
        np.testing.assert_array_equal(again(count, so_far), found, "the same seed chooses the same")
        so_far = found


@pytest.mark.parametrize("name", INFORMED)
@pytest.mark.parametrize("exclusive", [True, False])
def test_what_looks_at_labels_finds_the_planted_variables(name: str, exclusive: bool) -> None:
    found = TECHNIQUES[name].build(choice(exclusive), QUICK, 0)(3, np.empty(0, np.int64))
    assert set(found.tolist()) == set(PLANTED)


def test_orders_without_data() -> None:
    nothing = np.empty(0, np.int64)
    given = dataclasses.replace(choice(), variables=np.zeros((4, 25)), picture=(5, 5))
    assert TECHNIQUES["sequential"].build(given, QUICK, 0)(3, nothing).tolist() == [0, 1, 2]
    assert TECHNIQUES["centre-out"].build(given, QUICK, 0)(5, nothing).tolist() == [12, 7, 11, 13, 17]
    draws = [TECHNIQUES["random"].build(given, QUICK, seed)(3, nothing).tolist() for seed in range(300)]
    assert np.bincount(np.ravel(draws), minlength=25) == pytest.approx(np.full(25, 36), abs=20)
    with pytest.raises(UsageError, match="pixels of a picture"):
        TECHNIQUES["centre-out"].build(dataclasses.replace(given, picture=None), QUICK, 0)


def test_variance_takes_what_varies_most() -> None:
    given = dataclasses.replace(choice(), variables=np.arange(6.0)[:, None] * np.array([1.0, 0.0, 3.0, 2.0]))
    assert TECHNIQUES["variance"].build(given, QUICK, 0)(4, np.empty(0, np.int64)).tolist() == [2, 3, 0, 1]


@pytest.mark.parametrize("exclusive", [True, False])
def test_information_gain_and_chi_squared_by_hand(exclusive: bool) -> None:
    # Two bins of 4 and 4; the label goes with all of one and with half of the other: H(y) and H(y | bin) by hand.
    variable = np.repeat([0.0, 1.0], 4)[:, None]
    label = np.array([1, 1, 1, 1, 1, 1, 0, 0], bool)
    # A second label that all have leaves the question the same, but asked label by label.
    labels = np.stack([label, ~label if exclusive else np.ones(8, bool)], axis=1)
    given = Choice(variable, labels, lambda rows: 0.0)
    before = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert information_gain(given) == pytest.approx([before - 0.5 * np.log(2)])
    # Expected 3, 1 in both bins: (1 + 1) / 3 + (1 + 1) / 1.
    assert chi_squared(given) == pytest.approx([2 / 3 + 2])


def test_chi_squared_agrees_with_contingency_tables() -> None:
    given, bins = choice(), binned(choice().variables)
    for variable, found in enumerate(chi_squared(given)):
        table = pd.crosstab(bins[:, variable], given.labels.argmax(axis=1))
        assert found == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)


def test_values_are_bins_if_few_and_tenths_if_many() -> None:
    bins = binned(np.stack([np.arange(200.0), np.arange(200.0) // 50 * 7], axis=1))
    assert np.bincount(bins[:, 0]).tolist() == [20] * 10
    assert np.bincount(bins[:, 1]).tolist() == [50] * 4


def test_correlation_is_pearsons() -> None:
    given = choice()
    expected = [np.mean([abs(np.corrcoef(x, y)[0, 1]) for y in given.labels.T]) for x in given.variables.T]
    everyone = np.ones((len(given.labels), 1), bool)
    with_one = dataclasses.replace(given, labels=np.column_stack([given.labels, everyone]))
    np.testing.assert_allclose(mean_correlation(with_one), expected)
    assert mean_correlation(dataclasses.replace(given, labels=everyone)).tolist() == [0.0] * 12


def test_the_lasso_takes_the_planted_first_and_a_variable_without_use_never() -> None:
    given = choice()
    constant = dataclasses.replace(given, variables=np.column_stack([given.variables, np.ones(150)]))
    scores = entry_scores(constant)
    assert scores[12] == 0 and set(np.argsort(-scores)[:3]) == set(PLANTED)
    assert entry_scores(dataclasses.replace(given, labels=np.ones((150, 1), bool))).tolist() == [0.0] * 12


def test_grids() -> None:
    assert grid(64)[:7] == (1, 2, 3, 4, 6, 8, 12) and grid(64)[-1] == 64
    assert {20, 60} <= set(grid(64)) and grid(256)[-4:] == (96, 128, 192, 256)
    assert grid(300, (5, 400, 5, 2)) == (2, 5, 300)
    assert grid(1) == (1,)
    with pytest.raises(UsageError, match="at least 1"):
        grid(8, (0, 3))


def test_curves_do_not_depend_on_threads_and_go_on_after_a_kill(tmp_path: Path) -> None:
    methods = ["random", "greedy", "genetic", "lasso"]

    def select(folder: str, threads: int, measured: list[int], fail_after: int = 10**6) -> pd.DataFrame:
        def measure(rows: Chosen) -> float:
            measured.append(len(rows))
            if len(measured) > fail_after:
                raise KeyboardInterrupt
            return float(np.isin(rows, PLANTED).sum())

        effort = dataclasses.replace(QUICK, threads=threads)
        return select_features(subject(measure), methods, (2, 5), effort, 3, tmp_path / folder)[0]

    whole = select("one", 1, [])
    pd.testing.assert_frame_equal(select("two", 2, []), whole)
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        select("killed", 1, done, fail_after=15)
    resumed: list[int] = []
    pd.testing.assert_frame_equal(select("killed", 1, resumed), whole)
    assert len(resumed) == 22 - 15, "13 of random and 9 of the others; what was done is not done again"
    drawn = whole[whole["order"] == "random"].set_index("dimensions")
    assert drawn["repetitions"].to_dict() == {2: 6, 5: 6, 12: 1}
    assert drawn["sd"].notna().tolist() == [True, True, False]
    assert whole.loc[whole["order"] == "greedy", "mean"].tolist() == [2, 3, 3]


def test_what_is_not_known_is_named_and_pictures_only_is_left_out_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="greedy"):
        select_features(subject(), ["gredy"], (), QUICK, 0, tmp_path)
    toy = subject()
    plain = dataclasses.replace(toy, choice=dataclasses.replace(toy.choice, picture=None))
    curves, chosen = select_features(plain, ["centre-out", "variance"], (3,), QUICK, 0, tmp_path)
    assert set(curves["order"]) == {"variance"} and set(chosen) == {"variance"}


def test_digits_are_split_into_choosing_and_measuring_and_random_gets_better(tmp_path: Path) -> None:
    asked = digits(0)
    assert asked.choice.variables.shape == (1198, 64) and asked.facts["examples measured on"] == 599
    curves, _ = select_features(asked, ["sequential", "random"], (4, 16), QUICK, 0, tmp_path)
    means = curves.pivot_table(index="dimensions", columns="order", values="mean")
    assert means.loc[64, "random"] == means.loc[64, "sequential"] > 0.93
    assert means.loc[16, "random"] > 0.7 > means.loc[4, "random"] > means.loc[4, "sequential"] > asked.floor
    again = digits(0)
    rows = np.arange(20, 40)
    assert again.measure(rows) == asked.measure(rows)
    assert asked.choice.score(rows) == pytest.approx(asked.measure(rows), abs=0.08)


def _photos(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.eye(4, dtype=bool)[rng.integers(4, size=count)]
    vectors = rng.normal(size=(count, 8))
    vectors[:, [2, 5]] = 4 * labels[:, :2] - 4 * labels[:, 2:]
    return vectors.astype(np.float32), labels


@pytest.mark.parametrize("leave_one_out", [True, False])
def test_the_dimensions_that_carry_the_retrieval_are_found(leave_one_out: bool) -> None:
    gallery = _photos(120, 1)
    queries = gallery if leave_one_out else _photos(50, 2)
    asked = retrieval(queries, gallery, leave_one_out, "nDCG(rel=jaccard)@10", "euclidean", 1000, 0)
    assert asked.facts["query photos, measured on"] == (60 if leave_one_out else 50)
    useful, useless = np.array([2, 5]), np.array([0, 1, 3])
    assert asked.measure(useful) > 0.95 and asked.choice.score(useful) > 0.95
    assert asked.measure(useless) == pytest.approx(asked.floor, abs=0.12)
    chosen = TECHNIQUES["greedy"].build(asked.choice, QUICK, 0)(2, np.empty(0, np.int64))
    assert set(chosen.tolist()) == {2, 5}


def test_measures_that_do_not_fit_and_too_few_photos_are_refused() -> None:
    photos = _photos(30, 1)
    for measure in ("nDCG(rel=layout)@10", "AP(rel=any)"):
        with pytest.raises(UsageError, match="by labels with a cut-off"):
            retrieval(photos, photos, True, measure, "cosine", 100, 0)
    with pytest.raises(UsageError, match="more than 20 photos"):
        retrieval(photos, photos, True, "P(rel=any)@20", "cosine", 100, 0)


def test_a_result_is_read_back_and_damage_is_named(tmp_path: Path) -> None:
    toy = subject()
    curves, chosen = select_features(toy, ["greedy", "random"], (2, 5), QUICK, 0, tmp_path / "parts", silent)
    found = FeatureSelection(curves, {"toy": chosen}, {"toy": described(toy)})
    found.save(tmp_path)
    read = FeatureSelection.open(tmp_path)
    pd.testing.assert_frame_equal(read.curves, curves, check_dtype=False)
    assert read.chosen == found.chosen and read.subjects == found.subjects
    assert read.whole("toy") == 3 and read.enough("toy", "greedy") == 5 and read.enough("toy", "random") == 12
    (tmp_path / "chosen.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        FeatureSelection.open(tmp_path)
    with pytest.raises(DataError, match="holds no feature selection"):
        FeatureSelection.open(tmp_path / "absent")
