from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from aeret.errors import UnknownNameError, UsageError
from aeret.evaluation.resample import resampled, sample_queries
from aeret.evaluation.significance import (
    bootstrap_interval,
    bootstrap_weights,
    holm,
    randomisation_test,
    share_positive,
    wilcoxon_test,
)


def peer_p(differences: np.ndarray, resamples: float = np.inf) -> float:
    result = stats.permutation_test(
        (differences, np.zeros_like(differences)),
        lambda a, b, axis: (a - b).mean(axis=axis),
        permutation_type="samples",
        n_resamples=resamples,
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


@pytest.mark.parametrize("count", [2, 5, 12, 15])
def test_up_to_fifteen_queries_the_p_is_exact(count: int) -> None:
    differences = np.random.default_rng(count).normal(0.4, 1, (count, 1))
    found = randomisation_test(differences, np.random.default_rng(0))[0]
    assert found == pytest.approx(peer_p(differences[:, 0]), rel=1e-9)


def test_more_queries_agree_with_scipy_and_the_t_test() -> None:
    differences = np.random.default_rng(0).normal(0.1, 1, (300, 1))
    found = randomisation_test(differences, np.random.default_rng(1), 20_000)[0]
    assert found == pytest.approx(peer_p(differences[:, 0], 20_000), abs=0.012)
    assert found == pytest.approx(stats.ttest_1samp(differences[:, 0], 0).pvalue, abs=0.015)


def test_a_sampled_p_counts_the_observed_pattern_itself() -> None:
    """No drawn pattern is as extreme as forty equal differences, but the observed one is: p = 1 / (999 + 1)."""
    differences = np.ones((40, 1))
    assert randomisation_test(differences, np.random.default_rng(0), 999)[0] == 1 / 1000


def test_equal_arms_have_p_one_and_opposite_ones_the_same_p() -> None:
    rng = np.random.default_rng(0)
    d = rng.normal(0.2, 1, 100)
    found = randomisation_test(np.stack([np.zeros(100), d, -d], axis=1), rng, 2000)
    assert found[0] == 1
    assert found[1] == found[2]


def test_p_is_uniform_without_a_difference() -> None:
    rng = np.random.default_rng(0)
    values = randomisation_test(rng.normal(0, 1, (40, 400)), rng, 999)
    assert stats.kstest(values, "uniform").pvalue > 0.01


def test_skipped_queries_change_nothing() -> None:
    d = np.random.default_rng(0).normal(0.3, 1, (10, 1))
    padded = np.vstack([d, np.full((3, 1), np.nan)])
    rng = np.random.default_rng
    assert randomisation_test(padded, rng(0))[0] == pytest.approx(randomisation_test(d, rng(0))[0])
    assert randomisation_test(np.full((4, 1), np.nan), rng(0))[0] == 1
    assert randomisation_test(np.zeros((0, 1)), rng(0))[0] == 1
    assert share_positive(padded)[0] == (d > 0).mean()
    low, high = bootstrap_interval(np.full((4, 1), np.nan), rng(0), 50)
    assert np.isnan([low[0], high[0]]).all()


def test_the_bootstrap_interval_is_that_of_scipy_and_of_the_normal() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, (400, 1))
    low, high = bootstrap_interval(values, np.random.default_rng(0), 4000)
    peer = stats.bootstrap((values[:, 0],), np.mean, n_resamples=4000, method="percentile", rng=1).confidence_interval
    assert (low[0], high[0]) == pytest.approx((peer.low, peer.high), abs=0.01)
    assert high[0] - low[0] == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)


def test_weights_count_the_draws_of_each_query() -> None:
    weights = np.concatenate(list(bootstrap_weights(7, 50, np.random.default_rng(0))))
    assert weights.shape == (50, 7)
    assert (weights.sum(axis=1) == 7).all()


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.2])).tolist() == [0.2]
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert holm(np.zeros(0)).tolist() == []
    with pytest.raises(UsageError, match=r"\[0, 1\]"):
        holm(np.array([0.5, np.nan]))


def test_holm_agrees_with_its_definition() -> None:
    p = np.random.default_rng(0).random(30) ** 3
    adjusted = holm(p)
    assert (adjusted >= p).all()
    order = np.argsort(p)
    assert (np.diff(adjusted[order]) >= 0).all()
    for alpha in (0.01, 0.05, 0.3):
        rejected = 0
        while rejected < 30 and p[order[rejected]] <= alpha / (30 - rejected):
            rejected += 1
        assert (adjusted <= alpha).sum() == rejected


def test_half_samples_estimate_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(0.5, 1, (400, 1))
    samples = sample_queries(400, 0.5, 2000, np.random.default_rng(1))
    assert samples.shape == (2000, 200)
    assert all(len(set(sample)) == 200 for sample in samples[:20].tolist())
    found = resampled(values, samples)
    assert found.mean[0] == pytest.approx(values.mean(), abs=0.005)
    assert found.sd[0] == pytest.approx(values.std() / 20, rel=0.06)
    assert found.low[0] < found.mean[0] < found.high[0]


def test_resamples_leave_skipped_queries_out_and_bootstrap_at_one() -> None:
    values = np.array([[1.0], [np.nan], [3.0], [np.nan]])
    whole = sample_queries(4, 1.0, 300, np.random.default_rng(0))
    assert any(len(set(sample)) < 4 for sample in whole.tolist())
    found = resampled(values, np.array([[0, 1], [2, 3], [1, 3]]))
    assert (found.mean[0], found.sd[0]) == (2, np.sqrt(2))
    none = resampled(np.full((4, 1), np.nan), whole)
    assert np.isnan([none.mean[0], none.low[0]]).all()
    with pytest.raises(UsageError, match="0 queries"):
        sample_queries(0, 0.5, 3, np.random.default_rng(0))


SAMPLES = {
    "skewed": np.random.default_rng(1).exponential(1, 40),
    "few": np.array([0.125, 0.375, 0.25, 0.875, 1.5, 0.25, 5.0]),  # sums are exact: ties are ties for scipy too
    "binary": np.repeat([0.0, 1.0], [55, 5]),
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_the_bca_interval_is_that_of_scipy_on_the_same_draws(name: str, level: float) -> None:
    values = SAMPLES[name]
    low, high = bootstrap_interval(values[:, None], np.random.default_rng(0), 3000, level, "bca")
    weights = np.concatenate(list(bootstrap_weights(len(values), 3000, np.random.default_rng(0))))
    drawn = SimpleNamespace(bootstrap_distribution=(weights @ values) / len(values))
    options = {"n_resamples": 0, "confidence_level": level, "method": "BCa", "bootstrap_result": drawn}
    peer = stats.bootstrap((values,), np.mean, **options).confidence_interval
    assert (low[0], high[0]) == pytest.approx((peer.low, peer.high), rel=1e-9)
    percentile = bootstrap_interval(values[:, None], np.random.default_rng(0), 3000, level)
    assert low[0] >= percentile[0][0]
    assert high[0] > percentile[1][0], "a tail to the right moves the interval to the right"


def test_the_bca_interval_of_the_normal_is_nearly_the_percentile_one_and_turns_with_the_sign() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, (400, 1))
    rng = np.random.default_rng
    percentile, bca = (bootstrap_interval(values, rng(0), 4000, method=method) for method in ("percentile", "bca"))
    assert np.ravel(bca) == pytest.approx(np.ravel(percentile), abs=0.01)
    low, high = bootstrap_interval(-values, rng(0), 4000, method="bca")
    assert (-high[0], -low[0]) == pytest.approx((bca[0][0], bca[1][0]), abs=1e-3)


def test_bca_where_there_is_little_or_nothing() -> None:
    rng = np.random.default_rng
    odd = np.array([0.1, 0.7])  # rounds differently in sums of different order
    low, high = bootstrap_interval(np.tile(odd, (23, 1)), rng(0), 200, method="bca")
    assert low == pytest.approx(odd)
    assert high == pytest.approx(odd)
    values = np.array([[np.nan, 1.0, 2.0], [np.nan, np.nan, 3.0], [np.nan, np.nan, 7.0]])
    low, high = bootstrap_interval(values, rng(0), 500, method="bca")
    assert np.isnan([low[0], high[0]]).all()
    assert (low[1], high[1]) == (1, 1)
    assert 2 <= low[2] < 4 < high[2] <= 7
    one = bootstrap_interval(np.array([[0.25]]), rng(0), 100, method="bca")
    assert (one[0][0], one[1][0]) == (0.25, 0.25)
    assert np.isnan(bootstrap_interval(np.zeros((0, 1)), rng(0), 100, method="bca")[0][0])
    low, high = bootstrap_interval(np.array([[0.0]] * 400 + [[1.0]]), rng(0), 20, method="bca")
    assert 0 <= low[0] < high[0] <= 1
    with pytest.raises(UnknownNameError, match="no interval 'bcA'. Known: bca"):
        bootstrap_interval(values, rng(0), 10, method="bcA")


def test_skipped_queries_do_not_move_a_bca_interval_far() -> None:
    d = np.random.default_rng(0).exponential(1, (60, 1))
    padded = np.vstack([d, np.full((6, 1), np.nan)])
    whole, part = (bootstrap_interval(v, np.random.default_rng(0), 20_000, method="bca") for v in (d, padded))
    assert np.ravel(part) == pytest.approx(np.ravel(whole), abs=0.03)


def test_wilcoxon_on_worked_examples() -> None:
    # Heights of cross- and self-fertilised maize (Darwin 1876), the example of scipy: W = 24, p = 0.041 exactly.
    maize = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], float)
    # By hand: 1, 2, 3 of one sign is the most extreme of 8 patterns, from both sides.
    three = np.array([1.0, 2, 3] + [np.nan] * 12)
    # Pratt: the zero is rank 1 and drops out, -0.2 is rank 2, 0.5 rank 3: |5 - 0| never exceeded by chance 2 of 4.
    zeros = np.array([0.0, 0.5, 0.2] + [np.nan] * 12)
    found = wilcoxon_test(np.stack([maize, three, zeros], axis=1))
    assert found == pytest.approx([0.041259765625, 0.25, 0.5])


@pytest.mark.parametrize("count", [8, 30, 400])
def test_wilcoxon_agrees_with_scipy(count: int) -> None:
    rng = np.random.default_rng(count)
    smooth, coarse = rng.normal(0.2, 1, count), rng.integers(-4, 6, count) / 10
    found = wilcoxon_test(np.stack([smooth, coarse, -coarse], axis=1))
    assert found[0] == pytest.approx(stats.wilcoxon(smooth).pvalue)
    assert found[1] == pytest.approx(stats.wilcoxon(coarse, zero_method="pratt").pvalue)
    assert found[1] == pytest.approx(found[2])


def test_wilcoxon_where_there_is_little_or_nothing() -> None:
    equal, one = np.zeros(9), np.full(9, np.nan)
    one[3] = 0.2
    d = np.random.default_rng(0).normal(0.3, 1, 9)
    d[2] = np.nan
    found = wilcoxon_test(np.stack([equal, np.full(9, np.nan), one, d], axis=1))
    assert found[:3].tolist() == [1, 1, 1]
    assert found[3] == pytest.approx(stats.wilcoxon(np.delete(d, 2)).pvalue)
    assert wilcoxon_test(np.zeros((0, 2))).tolist() == [1, 1]
    # 0.3 - 0.2 and 0.1 are the same difference of two precisions.
    rounded = np.tile([0.3 - 0.2, -0.1], 20)[:, None]
    assert wilcoxon_test(rounded)[0] == 1
    with pytest.raises(UsageError, match="one column per measure"):
        wilcoxon_test(np.zeros(3))
