"""The product's own order as an index: the same as the function's, of a run's own clusters, and as exact as flat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from index_material import assert_alike, assert_same, everything, material

from aeret.clustering.kmeans import Clustering, fit_kmeans
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError
from aeret.retrieval import cluster_first
from aeret.retrieval.indexes import INDEXES, open_index


@pytest.mark.parametrize("order", ["sequential", "pooled"])
@pytest.mark.parametrize("bare", [True, False])
def test_with_the_clusters_of_a_run_it_gives_the_runs_own_results(order: str, bare: bool) -> None:
    vectors = l2_normalise(material("flat", 0, 300))
    clustering = fit_kmeans(vectors, 12, seed=1)
    given = clustering.centroids if bare else clustering
    index = INDEXES["cluster-first"].build(vectors, metric="euclidean", centroids=given)
    assert index.options["clusters"] == 12
    exclude = np.arange(40)
    expected = cluster_first.ClusterFirst(vectors, clustering).search(vectors[:40], 25, order, exclude, 3)
    found = index.search(vectors[:40], 25, exclude=exclude, order=order, min_probes=3)
    assert_same(found, expected, ("rows", "scanned", "probes"))
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_distances_are_those_of_flat(metric: str) -> None:
    vectors, queries = material("flat", 0, 300), material("flat", 1, 40)
    found, exact = (
        INDEXES[kind].build(vectors, metric=metric).search(queries, 50, **everything(kind))
        for kind in ("cluster-first", "flat")
    )
    assert_alike(found, exact)


def test_opened_from_its_files_it_reads_no_vector_before_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = material("flat", 0, 300)
    INDEXES["cluster-first"].build(vectors).save(tmp_path / "index")

    def never(*_: object) -> None:
        raise AssertionError("all vectors are read")

    monkeypatch.setattr("aeret.retrieval.cluster_first.checked_gallery", never)
    index = open_index(tmp_path / "index")
    assert isinstance(index._state()["members"].base, np.memmap)
    # Each cluster's members lie together, and are searched where they are.
    assert np.shares_memory(index._searcher._members, index._state()["members"])
    np.testing.assert_array_equal(index.decoded(), l2_normalise(vectors))


def test_centroids_that_do_not_fit_are_refused() -> None:
    vectors = material("flat", 0, 50)
    build = INDEXES["cluster-first"].build
    for message, centroids, clusters in (
        ("Centroids have 7 dimensions", vectors[:3, :7], 0),
        ("gives 0 clusters", vectors[:0], 0),
        ("gives 3 clusters; expected 4", vectors[:3], 4),
        ("Centroids must be a matrix", vectors[0], 0),
    ):
        with pytest.raises(UsageError, match=message):
            build(vectors, centroids=centroids, clusters=clusters)
    # They are the index's own afterwards.
    centroids = vectors[:5].copy()
    index = build(vectors, centroids=Clustering(centroids, np.zeros(0, np.int32), 0.0), metric="euclidean")
    expected = index.search(vectors, 9)
    centroids[:] = 0
    assert_same(index.search(vectors, 9), expected)
