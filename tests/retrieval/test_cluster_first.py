"""Cluster-first search against the rule written out in plain Python: any clusters, ties, duplicates, any minimum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aeret.clustering.kmeans import Clustering, fit_kmeans
from aeret.errors import UsageError
from aeret.retrieval import cluster_first, exhaustive
from aeret.retrieval.cluster_first import ClusterFirst


@dataclass(frozen=True)
class Task:
    queries: np.ndarray
    gallery: np.ndarray
    clustering: Clustering
    exclude: np.ndarray
    n: int


def rule(task: Task, order: str, probes: int) -> tuple[list[list[int]], list[int], list[int]]:
    """Return rows, vectors compared and clusters visited of each query; small integers make all distances exact."""
    results: list[list[int]] = []
    scanned, visited = [], []
    n = min(task.n, len(task.gallery) - int((task.exclude >= 0).any()))
    for query, excluded in zip(task.queries.tolist(), task.exclude.tolist(), strict=True):

        def far(vector: list[float], query: list[float] = query) -> float:
            return sum((a - b) ** 2 for a, b in zip(query, vector, strict=True))

        centroids, gallery, own = task.clustering.centroids.tolist(), task.gallery.tolist(), task.clustering.assignment
        clusters = [c for c in range(len(centroids)) if c in own]
        found: list[int] = []
        count = 0
        for c in sorted(clusters, key=lambda c: (far(centroids[c]), c)):
            if len(found) >= n and (order == "sequential" or count >= probes):
                break
            members = [row for row in range(len(gallery)) if own[row] == c and row != excluded]
            found += sorted(members, key=lambda row: (far(gallery[row]), row))
            count += 1
        scanned.append(len(found))
        visited.append(count)
        if order == "pooled":
            found.sort(key=lambda row: (far(gallery[row]), row))
        results.append(found[:n])
    return results, scanned, visited


def make(seed: int, count: int, clusters: int, queries: int, n: int, values: int = 3) -> Task:
    rng = np.random.default_rng(seed)
    gallery = rng.integers(0, values, (count, 3)).astype(np.float32)
    centroids = rng.integers(0, values, (clusters, 3)).astype(np.float32)
    # Any assignment will do, with clusters that are empty or look alike.
    used = rng.integers(0, clusters, max(1, clusters - 2))
    assignment = used[rng.integers(0, len(used), count)].astype(np.int32)
    rows = rng.integers(0, count, queries)
    exclude = np.where(rng.random(queries) < 0.5, rows, -1)
    return Task(gallery[rows], gallery, Clustering(centroids, assignment, 0.0), exclude, n)


tasks = st.builds(
    make,
    seed=st.integers(0, 10**6),
    count=st.integers(2, 60),
    clusters=st.integers(1, 12),
    queries=st.integers(1, 9),
    n=st.integers(1, 70),
    values=st.integers(1, 4),
)


@settings(max_examples=150, deadline=None)
@given(tasks, st.sampled_from(sorted(cluster_first.ORDERS)), st.integers(1, 15))
@example(make(0, 2, 1, 1, 5), "pooled", 3)
def test_the_rule_is_kept(task: Task, order: str, probes: int) -> None:
    index = ClusterFirst(task.gallery, task.clustering)
    found = index.search(task.queries, task.n, order, task.exclude, probes, threads=2)
    rows, scanned, visited = rule(task, order, probes)
    assert found.rows.tolist() == rows
    assert found.scanned.tolist() == scanned
    assert found.probes.tolist() == visited
    differences = task.queries[:, None].astype(np.float64) - task.gallery[found.rows]
    np.testing.assert_allclose(found.distances**2, (differences**2).sum(axis=2), rtol=1e-6)


@pytest.fixture(scope="module")
def mixture() -> tuple[np.ndarray, Clustering]:
    gallery = np.random.default_rng(0).standard_normal((1500, 37)).astype(np.float32)
    gallery[700:800] = gallery[:100]
    return gallery, fit_kmeans(gallery, 20, seed=0)


@pytest.mark.parametrize(("order", "probes"), [("sequential", 1), ("pooled", 1), ("pooled", 7)])
def test_nothing_depends_on_batch_or_threads(mixture: tuple[np.ndarray, Clustering], order: str, probes: int) -> None:
    gallery, clustering = mixture
    exclude = np.arange(120)
    index = ClusterFirst(gallery, clustering)
    whole = index.search(gallery[:120], 90, order, exclude, probes, threads=1)
    for batch, threads in ((1, 1), (7, 2), (60, 2), (120, 2)):
        spans = [slice(start, min(start + batch, 120)) for start in range(0, 120, batch)]
        parts = [index.search(gallery[span], 90, order, exclude[span], probes, threads=threads) for span in spans]
        for name in ("rows", "scanned", "probes"):
            joined = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(joined, getattr(whole, name))
        np.testing.assert_allclose(np.concatenate([part.distances for part in parts]), whole.distances, rtol=1e-5)


def test_more_probes_lead_to_exact_search(mixture: tuple[np.ndarray, Clustering]) -> None:
    gallery, clustering = mixture
    index, queries = ClusterFirst(gallery, clustering), gallery[:60]
    exact = exhaustive.search(queries, gallery, 30)
    shares = []
    for probes in (1, 2, 5, 20, 1000):
        found = index.search(queries, 30, "pooled", probes=probes)
        assert (found.probes >= min(probes, 20)).all()
        shares.append(found.agreement(exact, 30).mean())
    assert shares == sorted(shares)
    assert shares[0] < 0.8
    np.testing.assert_array_equal(found.rows, exact.rows)
    np.testing.assert_allclose(found.distances, exact.distances, rtol=1e-5)


def test_a_minimum_of_probes_does_nothing_in_strict_order(mixture: tuple[np.ndarray, Clustering]) -> None:
    gallery, clustering = mixture
    index = ClusterFirst(gallery, clustering)
    one, many = (index.search(gallery[:20], 10, "sequential", probes=probes) for probes in (1, 9))
    np.testing.assert_array_equal(one.rows, many.rows)
    np.testing.assert_array_equal(one.scanned, many.scanned)


def test_what_an_index_refuses() -> None:
    gallery = np.eye(4, dtype=np.float32)
    clustering = fit_kmeans(gallery, 2, seed=0)
    index = ClusterFirst(gallery, clustering)
    assert len(index) == 4
    with pytest.raises(UsageError, match="at least one cluster, got probes=0"):
        index.search(gallery, 2, probes=0)
    with pytest.raises(UsageError, match="numbers from 0 to 2; they must lie between 0 and 1"):
        ClusterFirst(gallery, Clustering(clustering.centroids, np.array([0, 1, 2, 0], np.int32), 0.0))
    with pytest.raises(UsageError, match="3 dimensions where 4"):
        index.search(gallery[:, :3], 2)
    with pytest.raises(UsageError, match="hold NaN"):
        ClusterFirst(np.full((4, 4), np.nan, np.float32), clustering)


def test_no_queries_and_nothing_to_find() -> None:
    gallery = np.eye(4, dtype=np.float32)
    index = ClusterFirst(gallery, fit_kmeans(gallery, 2, seed=0))
    assert index.search(gallery[:0], 3).rows.shape == (0, 3)
    alone = ClusterFirst(gallery[:1], fit_kmeans(gallery[:1], 1, seed=0))
    for queries in (1, 9):
        found = alone.search(np.repeat(gallery[:1], queries, axis=0), 3, "pooled", np.zeros(queries, int), probes=2)
        assert found.rows.shape == (queries, 0)
