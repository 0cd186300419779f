from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from aeret.errors import UsageError
from aeret.evaluation.evaluate import PhotoSet
from aeret.evaluation.experiment import EFFECTS, Experiment, Trial, effects, over_seeds
from aeret.evaluation.growth import gallery_growth, query_growth, sizes
from aeret.evaluation.pair_bootstrap import f_difference
from aeret.evaluation.pairs import pair_counts
from aeret.evaluation.result import Evaluation
from aeret.evaluation.significance import holm

LAYOUT = "nDCG(rel=layout)@10"


MakeTrial = Callable[..., Trial]


@pytest.fixture(scope="module")
def trial(evaluation: Evaluation) -> MakeTrial:
    def make(values: dict[str, Any], gain: float = 0.0, seed: int = 0) -> Trial:
        noise = np.random.default_rng(seed).normal(0, 0.01, len(evaluation.per_query))
        per_query = evaluation.per_query.assign(**{LAYOUT: 0.4 + gain + noise})
        return Trial("run", values, replace(evaluation, per_query=per_query), lambda: pytest.fail("not to be opened"))

    return make


def experiment(*trials: Trial) -> Experiment:
    return Experiment("e", "E", "", (), "cnn.arm", "labels-only", trials)


def test_groups_are_what_else_varies_and_seeds_are_pooled(trial: MakeTrial) -> None:
    trials = [
        trial({"cnn.backbone": net, "cnn.arm": arm, "seed": seed})
        for net in ("a", "b") for arm in ("joint", "labels-only") for seed in (0, 1)
    ]  # fmt: skip
    rows = [(group, arm, len(each)) for group, arm, each in experiment(*trials).rows()]
    assert rows == [("a", "labels-only", 2), ("a", "joint", 2), ("b", "labels-only", 2), ("b", "joint", 2)]


def test_effects_are_one_family_of_holm(trial: MakeTrial) -> None:
    trials = [
        trial({"net": net, "cnn.arm": arm, "seed": seed}, gain * (arm == "joint"), 10 * seed + (arm == "joint"))
        for net, gain in (("a", 0.1), ("b", 0.0)) for arm in ("joint", "labels-only") for seed in (0, 1)
    ]  # fmt: skip
    frame = effects(experiment(*trials), [LAYOUT])
    assert tuple(frame.columns) == EFFECTS
    assert frame["group"].tolist() == ["a", "b"]
    assert frame["difference"].iloc[0] > 0.05 > abs(frame["difference"].iloc[1])
    assert_allclose(frame["p_holm"], holm(frame["p"].to_numpy()))
    assert (frame["low"] <= frame["difference"]).all()
    assert (frame["difference"] <= frame["high"]).all()
    mean, sd = over_seeds([trials[0], trials[1]], lambda each: float(each.per_query[LAYOUT].mean()))
    assert_allclose(frame[["value", "sd"]].iloc[0].to_numpy(float), [mean, sd])


def test_an_experiment_without_arms_has_one_row(trial: MakeTrial) -> None:
    alone = Experiment("e", "E", "", (), "", "", (trial({"seed": 0}), trial({"seed": 1})))
    assert [(group, arm, len(each)) for group, arm, each in alone.rows()] == [("", "", 2)]
    assert alone.reference == ""


def test_f_difference_is_that_of_the_counts_and_told_apart() -> None:
    rng = np.random.default_rng(0)
    labels = np.eye(6, dtype=bool)[rng.integers(0, 6, 240)]
    truth = labels.argmax(axis=1)
    noisy = [np.where(rng.random(240) < 0.5, truth, rng.integers(0, 6, 240)) for _ in range(2)]
    random = [rng.integers(0, 6, 240) for _ in range(2)]
    found = f_difference(labels, random, noisy)
    means = [np.mean([pair_counts(labels, each).f for each in arm]) for arm in (random, noisy)]
    assert_allclose(found.difference, means[1] - means[0], atol=1e-6)
    assert found.low < found.difference < found.high
    assert found.p < 0.01
    same = f_difference(labels, random, random)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    back = f_difference(labels, noisy, random)
    assert_allclose([back.difference, back.low, back.high], [-found.difference, -found.high, -found.low])


def test_f_difference_has_the_spread_of_a_brute_force_bootstrap() -> None:
    rng = np.random.default_rng(1)
    labels = rng.random((60, 5)) < 0.3
    one, two = rng.integers(0, 4, 60), rng.integers(0, 4, 60)
    found = f_difference(labels, [one], [two], resamples=400)
    draws = []
    for _ in range(400):
        rows = rng.integers(0, 60, 60)
        values = []
        for each in (one, two):
            same = each[rows][:, None] == each[rows]
            other = rows[:, None] != rows  # a photo and itself are no pair
            related = (labels[rows][:, None] & labels[rows]).any(axis=2)
            tp = (same & related & other).sum()
            values.append(2 * tp / ((same & other).sum() + (related & other).sum()))
        draws.append(values[1] - values[0])
    assert found.high - found.low == pytest.approx(np.diff(np.quantile(draws, [0.025, 0.975]))[0], rel=0.25)


def test_the_p_of_f_difference_is_two_sided() -> None:
    rng = np.random.default_rng(2)
    labels = np.eye(4, dtype=bool)[rng.integers(0, 4, 120)]
    truth = labels.argmax(axis=1)
    one, two = (np.where(rng.random(120) < share, truth, rng.integers(0, 4, 120)) for share in (0.3, 0.33))
    found, back = f_difference(labels, [one], [two]), f_difference(labels, [two], [one])
    assert found.p == back.p
    spread = (found.high - found.low) / (2 * norm.ppf(0.975))
    expected = 2 * norm.sf(abs(found.difference) / spread)
    assert 0.05 < expected < 0.9
    assert found.p == pytest.approx(expected, rel=0.2)


def test_f_difference_wants_one_cluster_a_photo() -> None:
    with pytest.raises(UsageError, match="4 photos need one cluster each; the candidate's"):
        f_difference(np.ones((4, 2), bool), [np.zeros(4, int)], [np.zeros(3, int)])


def test_sizes_double_up_to_all() -> None:
    assert sizes(682) == [50, 100, 200, 400, 682]
    assert sizes(30) == [30]


def test_query_growth_samples_the_queries(evaluation: Evaluation) -> None:
    values = np.arange(100) / 100
    per_query = pd.DataFrame({"P(rel=any)@10": values, "R(rel=any)@10": values / 10})
    made = replace(evaluation, per_query=per_query)
    frame = query_growth(made, [10, 100], seed=0)
    whole = frame[frame["images"] == 100].set_index("measure")
    assert_allclose(whole.loc["P", "mean"], values.mean())
    assert np.isnan(whole.loc["P", "sd"])
    part = frame[frame["images"] == 10].set_index("measure")
    assert part.loc["P", "sd"] > 0.03
    assert abs(part.loc["P", "mean"] - values.mean()) < 0.05
    pd.testing.assert_frame_equal(frame, query_growth(made, [10, 100], seed=0))


def test_gallery_growth_equals_counting_by_hand() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 4)).astype(np.float32)
    labels = rng.random((40, 3)) < 0.4
    photos = PhotoSet(np.arange(40), vectors, labels)
    frame = gallery_growth(photos, photos, [15, 40], seed=3)
    precision, recall = [], []
    for query in range(40):
        distance = np.linalg.norm(vectors - vectors[query], axis=1)
        distance[query] = np.inf
        relevant = (labels & labels[query]).any(axis=1)
        relevant[query] = False
        if relevant.any():
            hits = relevant[np.argsort(distance)[:10]].sum()
            precision.append(hits / 10)
            recall.append(hits / relevant.sum())
    whole = frame[frame["images"] == 40].set_index("measure")["mean"]
    assert_allclose([whole["P"], whole["R"]], [np.mean(precision), np.mean(recall)])
    assert frame[frame["images"] == 15]["mean"].notna().all()


def test_gallery_growth_needs_more_than_ten() -> None:
    photos = PhotoSet(np.arange(12), np.eye(12, dtype=np.float32), np.ones((12, 1), bool))
    with pytest.raises(UsageError, match="a part of 10 images has no first 10"):
        gallery_growth(photos, photos, [10], seed=0)
