"""The loss waterfall: its steps against searches done by hand, its table against per-query values."""

from __future__ import annotations

import numpy as np
import pytest

from aeret.embeddings.normalise import l2_normalise
from aeret.evaluation.waterfall import class_losses, milliseconds, spill_table, waterfall_steps, waterfall_table
from aeret.retrieval import exhaustive
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.sign_codes import fit_sign_codes
from aeret.rng import generator


@pytest.fixture(scope="module")
def vectors():
    rng = generator(0, "waterfall")
    centres = rng.normal(size=(8, 32))
    return l2_normalise((centres[rng.integers(0, 8, 200)] + 0.4 * rng.normal(size=(200, 32))).astype(np.float32))


def exact(vectors, n=20):
    itself = np.arange(len(vectors))
    return {"exhaustive": (exhaustive.search(vectors, vectors, n, itself), 0.5)}, itself


def test_steps_return_exactly_n_without_the_query_and_shrink(vectors):
    own, itself = exact(vectors)
    steps = waterfall_steps(own, vectors, vectors, itself, seed=0)
    assert [step.name for step in steps] == ["exhaustive", "compressed", "hashed", "re-ranked"]
    for step in steps:
        assert step.ranking.rows.shape == (200, 20)
        assert not (step.ranking.rows == itself[:, None]).any()
    sizes = {step.name: step.bytes_per_photo for step in steps}
    assert sizes["exhaustive"] == 32 * 4 + 8
    assert sizes["hashed"] < sizes["exhaustive"] < sizes["re-ranked"]
    reference = own["exhaustive"][0]
    agreement = {step.name: step.ranking.agreement(reference, 20).mean() for step in steps}
    # Re-scoring wins back what hashing lost of the first twenty.
    assert agreement["hashed"] < agreement["re-ranked"] <= 1


def test_hashed_step_orders_by_bits_then_by_row(vectors):
    own, itself = exact(vectors)
    hashed = waterfall_steps(own, vectors, vectors, itself, seed=0)[2].ranking
    bits = np.unpackbits(fit_sign_codes(vectors, 32, 0).encode(vectors), axis=1)
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    np.fill_diagonal(apart, 1000)
    np.testing.assert_array_equal(hashed.rows, np.argsort(apart, axis=1, kind="stable")[:, :20])


def test_a_search_by_clusters_also_pays_for_its_cluster_lists(vectors):
    own, itself = exact(vectors)
    own["cluster-first sequential"] = own["exhaustive"]
    sizes = {step.name: step.bytes_per_photo for step in waterfall_steps(own, vectors, vectors, itself, seed=0)}
    # The int64 row in the list of its cluster, and the int64 cluster, beside vector and id.
    assert sizes["cluster-first sequential"] == sizes["exhaustive"] + 16


def test_same_seed_same_steps_whatever_the_threads(vectors):
    own, itself = exact(vectors)
    one, two = (waterfall_steps(own, vectors, vectors, itself, seed=3, threads=threads) for threads in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.ranking.rows, b.ranking.rows)


def test_small_galleries_are_not_compressed(vectors):
    own, itself = exact(vectors[:31], 5)
    assert [step.name for step in waterfall_steps(own, vectors[:31], vectors[:31], itself, seed=0)] == ["exhaustive"]


def test_table_holds_differences_from_the_first_step_and_skips_queries(vectors):
    own, itself = exact(vectors)
    steps = waterfall_steps(own, vectors, vectors, itself, seed=0)[:2]
    values = [{"m": np.array([0.5, np.nan, 1.0])}, {"m": np.array([0.25, np.nan, 1.0])}]
    frame = waterfall_table(steps, values, ["m"], seed=0).set_index("step")
    assert frame.at["exhaustive", "value"] == 0.75
    assert frame.at["exhaustive", "from_exact"] == frame.at["exhaustive", "from_exact_low"] == 0
    assert frame.at["compressed", "from_exact"] == -0.125
    assert frame.at["compressed", "from_exact_low"] == -0.25
    assert frame.at["exhaustive", "bytes_per_photo"] == 136
    assert milliseconds(steps)["exhaustive"] == 1000 * 0.5 / 200


def test_class_losses_average_over_the_queries_that_hold_the_class(vectors):
    own, itself = exact(vectors)
    steps = waterfall_steps(own, vectors, vectors, itself, seed=0)[:2]
    shares = {
        "exhaustive": np.array([[1.0, np.nan], [0.5, np.nan]]),
        "compressed": np.array([[0.5, np.nan], [0.5, np.nan]]),
    }
    frame = class_losses(steps, shares, ["dog", "cat"])
    assert frame.to_dict("records") == [{"category": "dog", "queries": 2, "exhaustive": 0.75, "compressed": 0.5}]


def test_spill_counts_clusters_visited():
    rows, probes = np.zeros((4, 1), np.int64), np.array([1, 3, 1, 1])
    frame = spill_table(Ranking(rows, rows.astype(np.float32), probes, probes))
    assert frame.to_dict("list") == {"clusters": [1, 3], "queries": [3, 1], "share": [0.75, 0.25]}
