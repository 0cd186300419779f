from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from aeret.errors import UsageError
from aeret.evaluation.compare import compare
from aeret.evaluation.evaluate import Evaluation
from aeret.evaluation.significance import holm

P10 = "P(rel=any)@10"


@pytest.fixture(scope="module")
def weaker(task) -> list[Evaluation]:
    """Two seeds of an arm with more noise and no latent head."""
    rng = np.random.default_rng(0)
    arms = []
    for _ in range(2):
        noise = 30 * rng.standard_normal(task.photos.vectors.shape)
        photos = replace(task.photos, vectors=(task.photos.vectors + noise).astype(np.float32))
        arms.append(task.run(queries=photos, gallery=photos, codes=None))
    return arms


def test_a_better_arm_is_found_better(evaluation: Evaluation, weaker: list[Evaluation]) -> None:
    frame = compare(weaker, evaluation, resamples=2000).set_index("measure")
    row = frame.loc["nDCG(rel=jaccard)@10"]
    mean = np.mean([np.nanmean(one.per_query["nDCG(rel=jaccard)@10"]) for one in weaker])
    assert row["baseline"] == pytest.approx(mean)
    assert row["candidate"] == pytest.approx(np.nanmean(evaluation.per_query["nDCG(rel=jaccard)@10"]))
    assert row["difference"] == pytest.approx(row["candidate"] - row["baseline"])
    assert 0 < row["low"] < row["difference"] < row["high"]
    assert row["p"] < row["p_holm"] < 0.05
    assert row["p_better"] > row["p_worse"]
    assert row["sd_baseline"] > 0
    assert np.isnan(row["sd_candidate"])
    tested = frame[frame["note"] == ""]
    np.testing.assert_allclose(tested["p_holm"], holm(tested["p"].to_numpy()))
    assert row["p_wilcoxon"] < 0.05


def test_an_arm_against_itself_shows_no_difference(evaluation: Evaluation) -> None:
    frame = compare(evaluation, evaluation, resamples=200)
    assert (frame[["p", "p_wilcoxon"]] == 1).all(axis=None)
    assert (frame["difference"] == 0).all()
    assert (frame["note"] == "").all()
    assert "layout rank" in set(frame["measure"])


def test_the_interval_is_a_choice(evaluation: Evaluation, weaker: list[Evaluation]) -> None:
    percentile, bca = (compare(weaker, evaluation, resamples=1000, interval=name) for name in ("percentile", "bca"))
    assert (percentile["low"] != bca["low"]).any()
    np.testing.assert_allclose(percentile["low"], bca["low"], atol=0.1 * (percentile["high"] - percentile["low"]).max())
    same = [column for column in percentile if column not in ("low", "high")]
    assert percentile[same].equals(bca[same])
    with pytest.raises(UsageError, match="no interval 'bootstrap'"):
        compare(weaker, evaluation, interval="bootstrap")


def test_the_sign_follows_the_order_of_the_arms_and_rank_is_better_when_lower(
    task, evaluation: Evaluation, weaker: list[Evaluation]
) -> None:
    there, back = (compare(a, b, [P10], resamples=300).iloc[0] for a, b in ((weaker, evaluation), (evaluation, weaker)))
    assert there["difference"] == pytest.approx(-back["difference"])
    assert there["p_better"] == back["p_worse"]
    worse = task.run(codes=replace(task.codes, predicted=np.roll(task.codes.predicted, 1, axis=0)))
    rank = compare(worse, evaluation, ["layout rank"], resamples=300).iloc[0]
    assert rank["difference"] < 0
    assert rank["p_better"] > 0.7


def test_an_arm_without_a_latent_head_stands_at_chance(evaluation: Evaluation, weaker: list[Evaluation]) -> None:
    frame = compare(weaker, evaluation, resamples=500).set_index("measure")
    row = frame.loc["layout R@10"]
    assert row["baseline"] == pytest.approx(10 / 120)
    assert "baseline has no latent head: chance" in row["note"]
    assert row["low"] > 0
    assert "layout rank" not in frame.index


def test_a_row_against_the_constant_of_chance_is_not_tested(evaluation: Evaluation, weaker: list[Evaluation]) -> None:
    frame = compare(weaker, evaluation, resamples=500).set_index("measure")
    chance = frame.index.str.startswith("layout R@")
    assert chance.sum() == 3
    assert frame.loc[chance, ["p", "p_holm", "p_wilcoxon"]].isna().all(axis=None)
    # The family is what was tested: the same p with and without the rows at chance.
    alone = compare(weaker, evaluation, list(frame.index[~chance]), resamples=500).set_index("measure")
    np.testing.assert_array_equal(frame.loc[~chance, ["p", "p_holm"]], alone[["p", "p_holm"]])
    (only,) = compare(weaker, evaluation, ["layout R@1"], resamples=500)["p_holm"]
    assert np.isnan(only)


def test_a_subset_is_compared_alone(task, evaluation: Evaluation, weaker: list[Evaluation]) -> None:
    flags = task.photos.subsets["real"]
    row = compare(weaker, evaluation, [P10], subset="real", resamples=200).iloc[0]
    assert row["candidate"] == pytest.approx(np.nanmean(evaluation.per_query[P10][flags]))
    assert row["queries"] <= flags.sum()
    chance = compare(weaker, evaluation, ["layout R@5"], subset="real", resamples=200).iloc[0]
    assert chance["baseline"] == pytest.approx(5 / 120), "candidates are all photos, not those of the subset"
    with pytest.raises(UsageError, match=r"no subset 'true'. Known: real"):
        compare(weaker, evaluation, subset="true")


def test_query_order_does_not_matter_but_the_task_does(evaluation: Evaluation, weaker: list[Evaluation]) -> None:
    turned = replace(evaluation, per_query=evaluation.per_query.iloc[::-1].reset_index(drop=True))
    frame = compare(evaluation, turned, resamples=100)
    assert (frame["difference"] == 0).all()
    fewer = replace(evaluation, per_query=evaluation.per_query.iloc[1:])
    with pytest.raises(UsageError, match="different queries"):
        compare(evaluation, fewer)
    elsewhere = replace(evaluation, gallery_ids=evaluation.gallery_ids + 1)
    with pytest.raises(UsageError, match="different galleries"):
        compare(evaluation, elsewhere)
    with pytest.raises(UsageError, match="'P@10' is not in both"):
        compare(weaker, evaluation, ["P@10"])
    with pytest.raises(UsageError, match="at least one evaluation"):
        compare([], evaluation)
