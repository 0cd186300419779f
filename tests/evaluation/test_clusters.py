from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    adjusted_rand_score,
    davies_bouldin_score,
    normalized_mutual_info_score,
    silhouette_samples,
    silhouette_score,
)

from aeret.errors import UsageError
from aeret.evaluation.cluster_sweep import CRITERIA, choices, sweep_clusters
from aeret.evaluation.clusters import cluster_quality, davies_bouldin, silhouettes
from aeret.evaluation.pairs import pair_counts
from aeret.reporting.html import render_html
from aeret.reporting.sweep_report import sweep_report


def photos(count: int = 300, groups: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    group = rng.integers(0, groups, count)
    vectors = (4 * rng.standard_normal((groups, 6))[group] + rng.standard_normal((count, 6))).astype(np.float32)
    labels = np.eye(groups, dtype=bool)[group] | (rng.random((count, groups)) < 0.1)
    return vectors, labels, group


def test_measures_agree_with_scikit_learn() -> None:
    vectors, labels, _ = photos()
    assignment = np.random.default_rng(1).integers(0, 7, len(vectors)) * 10 - 3
    assignment[0] = 999  # alone
    each = silhouettes(vectors, assignment, np.arange(len(vectors)), threads=2)
    np.testing.assert_allclose(each, silhouette_samples(vectors, assignment), atol=1e-5)
    assert davies_bouldin(vectors, assignment) == pytest.approx(davies_bouldin_score(vectors, assignment), rel=1e-5)
    found = cluster_quality(vectors, assignment, labels, seed=0)
    single = labels.sum(axis=1) == 1
    own = labels[single].argmax(axis=1)
    assert 0 < found.single_label_photos == single.sum() < len(vectors)
    assert found.nmi == pytest.approx(normalized_mutual_info_score(own, assignment[single]))
    assert found.ari == pytest.approx(adjusted_rand_score(own, assignment[single]))
    assert found.ari == pytest.approx(pair_counts(labels[single], assignment[single]).kappa)
    assert (found.silhouette_photos, found.silhouette) == (
        len(vectors),
        pytest.approx(silhouette_score(vectors, assignment), abs=1e-5),
    )


def test_the_silhouette_of_a_sample_is_measured_against_all_photos() -> None:
    vectors, labels, group = photos()
    whole = silhouettes(vectors, group, np.arange(len(vectors)))
    some = np.array([3, 250, 17])
    np.testing.assert_array_equal(silhouettes(vectors, group, some), whole[some])
    found = [
        cluster_quality(vectors, group, labels, seed, sample=40, threads=threads) for seed, threads in ((1, 1), (1, 2))
    ]
    assert found[0] == found[1]
    assert found[0].silhouette_photos == 40
    assert found[0].silhouette == pytest.approx(whole.mean(), abs=0.1)
    assert cluster_quality(vectors, group, labels, 2, sample=40).silhouette != found[0].silhouette


def test_by_hand() -> None:
    vectors = np.array([[0.0], [2.0], [10.0], [12.0]], np.float32)
    assignment = np.array([0, 0, 1, 1])
    # a = 2; b = (10 + 12) / 2 and (8 + 10) / 2.
    np.testing.assert_allclose(silhouettes(vectors, assignment, np.arange(4)), [9 / 11, 7 / 9, 7 / 9, 9 / 11])
    assert davies_bouldin(vectors, assignment) == pytest.approx((1 + 1) / 10)


def test_what_does_not_exist_is_nan() -> None:
    vectors, labels, _ = photos(20)
    one = cluster_quality(vectors, np.zeros(20, int), np.ones_like(labels), seed=0)
    assert np.isnan([one.silhouette, one.davies_bouldin, one.nmi, one.ari]).all()
    assert one.single_label_photos == 0
    same = np.zeros((4, 2), np.float32)
    assert silhouettes(same, np.array([0, 0, 1, 1]), np.arange(4)).tolist() == [0, 0, 0, 0]
    assert davies_bouldin(same, np.array([0, 0, 1, 1])) == 0
    with pytest.raises(UsageError, match="20 vectors need one cluster and one row of labels"):
        cluster_quality(vectors, np.zeros(19, int), labels, seed=0)


def test_a_sweep_finds_the_number_of_groups() -> None:
    vectors, _, group = photos(400)
    labels = np.eye(5, dtype=bool)[group]
    sweep = sweep_clusters(vectors, labels, [40, 2, 5, 10, 5], seed=0)
    assert sweep["k"].tolist() == [2, 5, 10, 40]
    assert (np.diff(sweep["inertia"]) < 0).all()
    assert choices(sweep) == dict.fromkeys(CRITERIA, 5)
    again = sweep_clusters(vectors, labels, [5], seed=0)
    assert again.drop(columns="seconds").iloc[0].to_dict() == sweep.drop(columns="seconds").iloc[1].to_dict()
    page = render_html(sweep_report(sweep, {"silhouette": "words"}, "Clusters by k", "400 photos", {"photos": 400}))
    assert "silhouette: k = 5" in page
    assert page.count("<svg") == 1


def test_choices_by_hand_and_where_there_are_no_numbers() -> None:
    columns = {name: [np.nan] * 4 for name in CRITERIA}
    sweep = pd.DataFrame(
        columns | {"k": [10, 20, 40, 80], "inertia": [100.0, 60.0, 50.0, 45.0], "f": [0.5, 0.5, 0.4, 0.1]}
    )
    # Below the chord from 100 to 45 over log k: 0, 21.7, 13.3, 0.
    assert choices(sweep) == {"inertia": 20, "f": 10}
    assert "inertia" not in choices(sweep.iloc[:2])


@pytest.mark.parametrize("clusters", [[], [1, 3], [2, 21]])
def test_a_sweep_refuses_k_that_cannot_be(clusters: list[int]) -> None:
    vectors, labels, _ = photos(20)
    with pytest.raises(UsageError, match="from 2 to the 20 photos"):
        sweep_clusters(vectors, labels, clusters, seed=0)
