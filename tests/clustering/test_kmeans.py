from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.cluster import KMeans

from aeret.clustering import kmeans
from aeret.clustering.kmeans import Clustering, assign, fit_kmeans
from aeret.errors import DataError, UsageError


def blobs(count: int = 600, groups: int = 6, width: int = 8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((groups, width)) * 10
    group = rng.integers(0, groups, count)
    return (centres[group] + rng.standard_normal((count, width))).astype(np.float32), group


def test_separate_blobs_are_found() -> None:
    vectors, group = blobs()
    found = fit_kmeans(vectors, 6, seed=0)
    pairs = set(zip(found.assignment.tolist(), group.tolist(), strict=True))
    assert len(pairs) == 6
    assert found.converged
    assert found.inertia == min(found.inertia_per_start)
    assert len(found.inertia_per_start) == len(found.iterations_per_start) == 3


def test_centroids_are_means_and_inertia_is_the_summed_distance() -> None:
    vectors, _ = blobs()
    found = fit_kmeans(vectors, 9, seed=1, tolerance=0)
    means = np.stack([vectors[found.assignment == c].mean(axis=0) for c in range(9)])
    np.testing.assert_allclose(found.centroids, means, rtol=1e-4, atol=1e-4)
    assert found.inertia == pytest.approx(((vectors - found.centroids[found.assignment]) ** 2).sum(), rel=1e-5)
    np.testing.assert_array_equal(assign(vectors, found.centroids), found.assignment)
    distances = ((vectors[:, None].astype(np.float64) - found.centroids[None]) ** 2).sum(axis=2)
    np.testing.assert_array_equal(distances.argmin(axis=1), found.assignment)


def test_inertia_is_no_worse_than_scikit_learn() -> None:
    vectors = np.random.default_rng(3).standard_normal((500, 6)).astype(np.float32)
    peer = KMeans(20, n_init=5, random_state=0).fit(vectors).inertia_
    assert fit_kmeans(vectors, 20, seed=0, starts=5).inertia < 1.03 * peer


def test_the_same_seed_gives_the_same_clusters_for_any_number_of_threads() -> None:
    vectors = np.random.default_rng(3).standard_normal((900, 130)).astype(np.float32)
    one, same, two = (fit_kmeans(vectors, 12, seed=5, starts=2, threads=threads) for threads in (1, 1, 2))
    np.testing.assert_array_equal(one.centroids, same.centroids)
    np.testing.assert_allclose(two.centroids, one.centroids, rtol=1e-5, atol=1e-5)
    assert fit_kmeans(vectors, 12, seed=6, starts=1).inertia != one.inertia_per_start[0]


def test_every_vector_is_used_however_many_there_are() -> None:
    # faiss would sample 256 vectors per centroid.
    vectors = np.zeros((2000, 1), np.float32)
    vectors[1500:] = 1.0
    vectors[-1] = 1000.0
    assert fit_kmeans(vectors, 3, seed=0).inertia == 0


def test_fewer_distinct_vectors_than_clusters_leave_empty_clusters_not_an_error() -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    found = fit_kmeans(vectors, 5, seed=0)
    assert found.inertia == 0
    assert found.empties == 2
    assert found.sizes.sum() == 12
    assert np.isfinite(found.centroids).all()


def test_an_empty_cluster_restarts_at_the_farthest_vector() -> None:
    vectors = np.array([[0.0], [0.1], [0.2], [9.0]], np.float32)
    centroids, labels, _ = kmeans._settled(vectors, np.array([[0.0], [50.0]], np.float32))
    assert centroids[1, 0] == 9
    assert labels.tolist() == [0, 0, 0, 1]


def test_sizes_and_imbalance() -> None:
    even = Clustering(np.zeros((2, 1), np.float32), np.array([0, 1, 0, 1], np.int32), 0.0)
    one = Clustering(np.zeros((2, 1), np.float32), np.array([1, 1, 1, 1], np.int32), 0.0)
    assert even.imbalance == 1
    assert (one.imbalance, one.empties, one.sizes.tolist()) == (2, 1, [0, 4])
    offsets, rows = even.members()
    assert (offsets.tolist(), rows.tolist()) == ([0, 2, 4], [0, 2, 1, 3])


def test_as_many_clusters_as_vectors_and_one_cluster_work() -> None:
    vectors = np.arange(5, dtype=np.float32)[:, None]
    assert fit_kmeans(vectors, 5, seed=0).inertia == 0
    assert fit_kmeans(vectors, 1, seed=0).centroids[0, 0] == 2


def test_asking_for_too_much_is_explained() -> None:
    vectors = np.zeros((3, 2), np.float32)
    with pytest.raises(UsageError, match=r"4 clusters .* there are 3.*evaluation\.clusters"):
        fit_kmeans(vectors, 4, seed=0)
    with pytest.raises(UsageError, match="at least one start"):
        fit_kmeans(vectors, 2, seed=0, starts=0)
    with pytest.raises(UsageError, match=r"tolerance .* got 1"):
        fit_kmeans(vectors, 2, seed=0, tolerance=1)
    vectors[1] = np.nan
    with pytest.raises(UsageError, match="row 1"):
        fit_kmeans(vectors, 2, seed=0)
    with pytest.raises(UsageError, match="no centroids"):
        assign(np.zeros((3, 2)), np.zeros((0, 2)))


def test_a_clustering_is_saved_and_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no clustering"):
        Clustering.open(tmp_path)
    found = fit_kmeans(blobs()[0], 4, seed=0)
    found.save(tmp_path)
    opened = Clustering.open(tmp_path)
    np.testing.assert_array_equal(opened.centroids, found.centroids)
    np.testing.assert_array_equal(opened.assignment, found.assignment)
    assert (opened.inertia, opened.inertia_per_start, opened.converged) == (
        found.inertia,
        found.inertia_per_start,
        found.converged,
    )


def test_the_limit_of_iterations_is_kept_and_leaves_every_vector_at_its_nearest_centroid() -> None:
    vectors = np.random.default_rng(3).standard_normal((900, 40)).astype(np.float32)
    found = fit_kmeans(vectors, 30, seed=0, starts=1, iterations=2, tolerance=0)
    assert (found.converged, found.iterations_per_start) == (False, (2,))
    np.testing.assert_array_equal(found.assignment, assign(vectors, found.centroids))


def test_vectors_without_dimensions_are_refused() -> None:
    with pytest.raises(UsageError, match="without dimensions"):
        fit_kmeans(np.zeros((10, 0), np.float32), 2, seed=0)
