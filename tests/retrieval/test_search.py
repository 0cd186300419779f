"""Exhaustive and cluster-first search against orders made by sorting exact distances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeret.clustering.kmeans import Clustering, assign, fit_kmeans
from aeret.errors import UnknownNameError, UsageError
from aeret.evaluation.metrics import WholeGallery
from aeret.retrieval import cluster_first, exhaustive
from aeret.retrieval.cluster_first import ClusterFirst
from aeret.retrieval.ranking import Ranking


def exact(queries: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return ((queries.astype(np.float64)[:, None] - vectors[None]) ** 2).sum(axis=2)


def expected_order(
    queries: np.ndarray, gallery: np.ndarray, exclude: np.ndarray, clustering: Clustering | None = None
) -> list[list[int]]:
    """Sort by (distance, row), or by (distance to the cluster, cluster, distance, row)."""
    far = exact(queries, gallery)
    orders = []
    for i in range(len(queries)):
        rows = [j for j in range(len(gallery)) if j != exclude[i]]
        if clustering is None:
            orders.append(sorted(rows, key=lambda j: (far[i, j], j)))
            continue
        cluster, own = exact(queries[i : i + 1], clustering.centroids)[0], clustering.assignment
        orders.append(sorted(rows, key=lambda j: (cluster[own[j]], own[j], far[i, j], j)))
    return orders


# Small integers: distances are exact in float32, and ties abound.
def grid(seed: int, count: int, width: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, (count, width)).astype(np.float32)


@st.composite
def tasks(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, Clustering, int]:
    seed, count = draw(st.integers(0, 10**6)), draw(st.integers(2, 60))
    gallery = grid(seed, count)
    rng = np.random.default_rng(seed + 1)
    rows = rng.integers(0, count, 9)
    exclude = np.where(rng.random(9) < 0.5, rows, -1)
    centroids = grid(seed + 2, draw(st.integers(1, 12)))
    clustering = Clustering(centroids, assign(gallery, centroids), 0.0)
    return gallery[rows], gallery, exclude, clustering, draw(st.integers(1, 70))


@settings(max_examples=40, deadline=None)
@given(tasks())
def test_searches_give_the_sorted_order_and_exactly_n(task: tuple) -> None:  # type: ignore[type-arg]
    queries, gallery, exclude, clustering, n = task
    count = min(n, len(gallery) - int((exclude >= 0).any()))
    options = {"exclude": exclude}

    flat = exhaustive.search(queries, gallery, n, **options)
    assert flat.rows.shape == (len(queries), count)
    assert flat.rows.tolist() == [order[:count] for order in expected_order(queries, gallery, exclude)]
    np.testing.assert_allclose(flat.distances**2, np.take_along_axis(exact(queries, gallery), flat.rows, 1), rtol=1e-5)

    sequential = ClusterFirst(gallery, clustering).search(queries, n, "sequential", **options)
    by_cluster = expected_order(queries, gallery, exclude, clustering)
    assert sequential.rows.tolist() == [order[:count] for order in by_cluster]

    pooled = ClusterFirst(gallery, clustering).search(queries, n, "pooled", **options)
    far, own = exact(queries, gallery), clustering.assignment
    for i, order in enumerate(by_cluster):
        # Visited are the clusters up to that of the n-th result, also one that held only the query itself.
        cluster = exact(queries[i : i + 1], clustering.centroids)[0]
        visits = sorted(set(own.tolist()), key=lambda c: (cluster[c], c))
        visited = visits[: 1 + max(visits.index(own[j]) for j in order[:count])]
        pool = [j for j in order if own[j] in visited]
        assert pooled.rows[i].tolist() == sorted(pool, key=lambda j: (far[i, j], j))[:count]
        assert pooled.scanned[i] == sequential.scanned[i] == len(pool)
        assert pooled.probes[i] == sequential.probes[i] == len(visited)


def test_one_cluster_is_exhaustive_search_in_both_orders() -> None:
    gallery = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32)
    clustering = fit_kmeans(gallery, 1, seed=0)
    flat = exhaustive.search(gallery[:30], gallery, 40, np.arange(30))
    for order in ("sequential", "pooled"):
        found = ClusterFirst(gallery, clustering).search(gallery[:30], 40, order, np.arange(30))
        np.testing.assert_array_equal(found.rows, flat.rows)
        np.testing.assert_allclose(found.distances, flat.distances, rtol=1e-5)
        assert (found.scanned == 199).all()


@pytest.mark.parametrize("width", [16, 257])
def test_results_agree_for_any_batch_and_threads(width: int) -> None:
    gallery = np.random.default_rng(0).standard_normal((500, width)).astype(np.float32)
    clustering = fit_kmeans(gallery, 13, seed=0)
    searches = (
        lambda some, threads: ClusterFirst(gallery, clustering).search(some, 90, "pooled", threads=threads),
        lambda some, threads: exhaustive.search(some, gallery, 90, threads=threads),
    )
    for search in searches:
        whole = search(gallery[:50], 1)
        for batch, threads in ((1, 2), (7, 2)):
            parts = [search(gallery[start : start + batch], threads) for start in range(0, 49, batch)]
            np.testing.assert_allclose(
                np.concatenate([part.distances for part in parts]), whole.distances[:49], rtol=1e-5
            )


def test_cluster_numbers_do_not_matter() -> None:
    gallery = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    clustering = fit_kmeans(gallery, 10, seed=0)
    names = np.random.default_rng(1).permutation(10)
    renamed = Clustering(clustering.centroids[np.argsort(names)], names[clustering.assignment].astype(np.int32), 0.0)
    for order in cluster_first.ORDERS:
        a = ClusterFirst(gallery, clustering).search(gallery[:20], 80, order)
        b = ClusterFirst(gallery, renamed).search(gallery[:20], 80, order)
        np.testing.assert_array_equal(a.rows, b.rows)


def test_whole_orders_begin_with_the_rankings() -> None:
    gallery = grid(0, 150)
    clustering = fit_kmeans(gallery, 9, seed=0)
    queries, own = np.ascontiguousarray(gallery[:20]), np.full(20, -1)
    flat = exhaustive.search(queries, gallery, 150)
    np.testing.assert_array_equal(WholeGallery(queries, gallery).block(0, 20, own)[0], flat.rows)
    sequential = ClusterFirst(gallery, clustering).search(queries, 150)
    whole = WholeGallery(queries, gallery, clustering)
    np.testing.assert_array_equal(whole.block(0, 20, own)[0], sequential.rows)


def test_agreement_counts_shared_rows() -> None:
    none = np.zeros(2, np.int64)
    a = Ranking(np.array([[1, 2, 3], [4, 5, 6]]), np.zeros((2, 3), np.float32), none, none)
    b = Ranking(np.array([[3, 1, 9], [7, 8, 9]]), np.zeros((2, 3), np.float32), none, none)
    np.testing.assert_allclose(a.agreement(b, 3), [2 / 3, 0])
    np.testing.assert_allclose(a.agreement(b, 1), [0, 0])
    assert a.top(2).rows.tolist() == [[1, 2], [4, 5]]
    with pytest.raises(UsageError, match="cannot be compared"):
        a.agreement(b.top(2), 3)
    with pytest.raises(UsageError, match="cannot have"):
        Ranking(a.rows, a.distances[:, :2], none, none)


def test_misuse_is_explained() -> None:
    gallery = np.zeros((4, 3), np.float32)
    clustering = fit_kmeans(np.eye(3, dtype=np.float32), 2, seed=0)
    with pytest.raises(UsageError, match="2 dimensions where 3"):
        exhaustive.search(np.zeros((1, 2)), gallery, 1)
    with pytest.raises(UsageError, match="at least one result"):
        exhaustive.search(gallery, gallery, 0)
    with pytest.raises(UsageError, match="between -1 and 3"):
        exhaustive.search(gallery, gallery, 2, np.array([0, 1, 2, 4]))
    with pytest.raises(UsageError, match="one gallery row"):
        exhaustive.search(gallery, gallery, 2, np.array([0]))
    with pytest.raises(UsageError, match="clustering of 3 vectors does not fit a gallery of 4"):
        ClusterFirst(gallery, clustering)
    with pytest.raises(UnknownNameError, match="Did you mean 'pooled'"):
        ClusterFirst(gallery[:3], clustering).search(gallery[:3], 2, "pool")


def test_a_gallery_of_the_query_alone_gives_no_results() -> None:
    one = np.ones((1, 2), np.float32)
    assert exhaustive.search(one, one, 5, np.array([0])).rows.shape == (1, 0)
    assert ClusterFirst(one, fit_kmeans(one, 1, 0)).search(one, 5, exclude=np.array([0])).rows.shape == (1, 0)
