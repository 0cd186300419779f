"""The contextual re-ranker is trained on train photos alone."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from aeret.embeddings.normalise import l2_normalise
from aeret.errors import DataError, UsageError
from aeret.retrieval import exhaustive
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers import RERANKERS
from aeret.retrieval.rerankers.contextual import affinities
from aeret.training.contextual import (
    ContextualNetwork,
    ContextualOptions,
    build_network,
    fit_contextual,
    listwise_loss,
    rebuilt_loss,
)

LENGTH = 12
SMALL = ContextualOptions(anchors=8, width=16, heads=2, epochs=2, batch_size=16, learning_rate=3e-3)


def training(count: int = 60) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    group = rng.integers(0, 5, count)
    vectors = l2_normalise(np.eye(5, 8)[group] + 0.45 * rng.normal(size=(count, 8)))
    lists = exhaustive.search(vectors, vectors, LENGTH, exclude=np.arange(count)).rows
    gains = (group[lists] == group[:, None]).astype(np.float32)
    return {"vectors": vectors, "ids": np.arange(count) + 1000, "lists": lists, "gains": gains}


def test_training_helps_on_photos_it_has_not_seen(tmp_path: Path) -> None:
    centres = l2_normalise(np.random.default_rng(5).normal(size=(16, 12)))
    every = np.arange(500)

    def photos(seed: int) -> tuple[np.ndarray, np.ndarray, Ranking]:
        rng = np.random.default_rng(seed)
        kind = rng.integers(0, 16, 500)
        vectors = l2_normalise(centres[kind] + 0.25 * rng.normal(size=(500, 12)))
        return vectors, kind, exhaustive.search(vectors, vectors, 40, exclude=every)

    vectors, kind, found = photos(0)
    gains = (kind[found.rows] == kind[:, None]).astype(np.float32)
    options = ContextualOptions(anchors=24, width=32, heads=2, epochs=6, batch_size=16, learning_rate=2e-3)
    fit_contextual(vectors, every, found.rows, gains, every + 500, options).save(tmp_path / "c.npz")
    vectors, kind, found = photos(7)
    network = ContextualNetwork.open(tmp_path / "c.npz")
    done = RERANKERS["contextual"].rerank(vectors, found, vectors, network=network)
    before, after = ((kind[each.rows[:, :10]] == kind[:, None]).mean() for each in (found, done))
    assert before < 0.82
    assert after > 0.86


def test_the_same_seed_gives_the_same_network_and_a_file_keeps_it(tmp_path: Path) -> None:
    given = training()
    first, second, other = (fit_contextual(**given, barred=np.array([1]), options=SMALL, seed=s) for s in (0, 0, 1))
    x = affinities(given["vectors"][0], given["vectors"][1:30], 8)
    np.testing.assert_allclose(first(x), second(x), atol=1e-5)
    assert not np.allclose(first(x), other(x), atol=1e-3)
    first.save(tmp_path / "a" / "c.npz")
    np.testing.assert_allclose(ContextualNetwork.open(tmp_path / "a" / "c.npz")(x), first(x), atol=1e-6)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["c.npz"]
    assert ContextualNetwork.open(tmp_path / "a" / "c.npz").trained_on.tolist() == given["ids"].tolist()


def test_results_beyond_the_anchors_may_stand_in_any_order() -> None:
    network, vectors = ContextualNetwork(build_network(SMALL, 0), SMALL, np.empty(0, np.int64)), training()["vectors"]
    order = np.r_[:7, 7 + np.random.default_rng(0).permutation(22)]
    straight, mixed = (network(affinities(vectors[0], each, 8)) for each in (vectors[1:30], vectors[1:30][order]))
    np.testing.assert_allclose(mixed, straight[order], atol=1e-5)


def test_losses_are_their_formulas() -> None:
    rng = np.random.default_rng(0)
    cosines, gains = rng.random((3, 8)).astype(np.float32), rng.random((3, 8)).astype(np.float32)
    gains[1] = 0  # nothing relevant: says nothing
    odds = np.exp(cosines / 0.1)
    expected = -np.log((gains * odds).sum(1)[[0, 2]] / odds.sum(1)[[0, 2]])
    found = keras.ops.convert_to_numpy(listwise_loss(gains, cosines))
    np.testing.assert_allclose(found, [expected[0], 0, expected[1]], rtol=1e-4)
    x, y = rng.random((2, 3, 4, 8)).astype(np.float32)
    apart = ((l2_normalise(x.reshape(-1, 8)) - l2_normalise(y.reshape(-1, 8))) ** 2).sum(1).reshape(3, 4)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(rebuilt_loss(x, y)), apart, atol=1e-5)


def test_query_and_gallery_photos_are_refused() -> None:
    with pytest.raises(DataError, match=r"2 of the photos .* first with id 1003"):
        fit_contextual(**training(), barred=np.array([9, 1005, 1003]), options=SMALL)


@pytest.mark.parametrize(
    ("changes", "options", "says"),
    [
        ({"ids": np.arange(3)}, SMALL, "need one list and gains each"),
        ({"gains": np.zeros((60, 3))}, SMALL, "need one list and gains each"),
        ({}, ContextualOptions(anchors=LENGTH + 2), "anchors=14"),
        ({}, ContextualOptions(anchors=8, held_out=1.0), "held_out=1.0"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(changes: dict, options: ContextualOptions, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        fit_contextual(**{**training(), **changes}, barred=np.array([5000]), options=options)


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        ContextualNetwork.open(tmp_path / "c.npz")
    (tmp_path / "c.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match="holds no contextual network"):
        ContextualNetwork.open(tmp_path / "c.npz")
