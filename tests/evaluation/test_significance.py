from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from aeret.errors import UsageError
from aeret.evaluation.resample import resampled, sample_queries
from aeret.evaluation.significance import (
    bootstrap_interval,
    bootstrap_weights,
    holm,
    randomisation_test,
    share_positive,
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
