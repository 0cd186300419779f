"""The contextual re-ranker is trained on train photos alone, and computed the same without Keras."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from aeret.embeddings.normalise import l2_normalise
from aeret.errors import DataError, UsageError
from aeret.models.contextual import ContextualModel
from aeret.retrieval import exhaustive
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers import RERANKERS
from aeret.retrieval.rerankers.contextual import Network, affinities
from aeret.settings import TrainingSettings
from aeret.training.contextual import FILE, ListFeed, fit_contextual

LENGTH, SMALL = 12, {"anchors": 8, "width": 16, "heads": 2}


def groups(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors of five overlapping groups, and the groups."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 5, count)
    return l2_normalise(np.eye(5, 8)[group] + 0.45 * rng.normal(size=(count, 8))), group


def training(count: int = 120) -> dict[str, np.ndarray]:
    vectors, group = groups(count, 0)
    every = np.arange(count)
    lists = exhaustive.search(vectors, vectors, LENGTH, exclude=every).rows
    gains = (group[lists] == group[:, None]).astype(np.float32)
    return {"vectors": vectors, "ids": every + 1000, "queries": every, "lists": lists, "gains": gains}


def fitted(folder: Path, seed: int = 0, **changes: np.ndarray) -> Network:
    settings = TrainingSettings(epochs=2, batch_size=16, learning_rate=3e-3)
    given = {**training(), **changes}
    fit_contextual(**given, folder=folder, barred=np.array([1, 2]), settings=settings, seed=seed, **SMALL)
    return Network.load(folder / FILE)


def test_numpy_computes_what_keras_computes(tmp_path: Path) -> None:
    model = ContextualModel(**SMALL, layers=3, seed=5)
    rng = np.random.default_rng(0)
    for variable in model.variables:  # biases and normalisation too
        if "seed" not in variable.name:
            variable.assign(rng.normal(0, 0.4, variable.shape).astype(np.float32))
    model.write(tmp_path / "c.npz", np.arange(3))
    network = Network.load(tmp_path / "c.npz")
    vectors, _ = groups(60, 1)
    for length in (1, 7, 8, 30):
        x = affinities(vectors[0], vectors[1 : length + 1], 8)
        expected = keras.ops.convert_to_numpy(model(x[None])["cosines"])[0]
        np.testing.assert_allclose(network.cosines(x), expected, atol=1e-5)


def test_training_helps_on_photos_it_has_not_seen(tmp_path: Path) -> None:
    centres = l2_normalise(np.random.default_rng(5).normal(size=(16, 12)))

    def photos(seed: int) -> tuple[np.ndarray, np.ndarray, Ranking]:
        rng = np.random.default_rng(seed)
        kind = rng.integers(0, 16, 500)
        vectors = l2_normalise(centres[kind] + 0.25 * rng.normal(size=(500, 12)))
        return vectors, kind, exhaustive.search(vectors, vectors, 40, exclude=every)

    every = np.arange(500)
    vectors, kind, found = photos(0)
    gains = (kind[found.rows] == kind[:, None]).astype(np.float32)
    settings = TrainingSettings(epochs=6, batch_size=16, learning_rate=2e-3)
    network = {"anchors": 24, "width": 32, "heads": 2}
    fit_contextual(vectors, every, every, found.rows, gains, tmp_path, barred=every + 500, settings=settings, **network)
    vectors, kind, found = photos(7)
    done = RERANKERS["contextual"].rerank(vectors, found, vectors, network=tmp_path / FILE)
    before, after = ((kind[each.rows[:, :10]] == kind[:, None]).mean() for each in (found, done))
    assert before < 0.82
    assert after > 0.86


def test_the_same_seed_writes_the_same_network(tmp_path: Path) -> None:
    first, second, other = fitted(tmp_path / "a"), fitted(tmp_path / "b"), fitted(tmp_path / "c", seed=1)
    for name, array in first.arrays.items():
        assert np.array_equal(array, second.arrays[name])
    assert not np.array_equal(first.arrays["start.kernel"], other.arrays["start.kernel"])


def test_query_and_gallery_photos_are_refused_and_what_was_seen_is_written(tmp_path: Path) -> None:
    given = training(40)
    with pytest.raises(DataError, match=r"2 of the photos .* first with id 1003"):
        fit_contextual(**given, folder=tmp_path, barred=np.array([9, 1005, 1003]), **SMALL)
    given |= {"queries": np.arange(20), "lists": given["lists"][:20] % 30, "gains": given["gains"][:20]}
    seen = np.union1d(given["lists"], np.arange(20)) + 1000
    assert len(seen) < 40
    assert fitted(tmp_path, **given).trained_on.tolist() == seen.tolist()


def test_a_feed_holds_nothing_but_its_lists() -> None:
    given = training(40)
    strangers = given["vectors"].copy()
    lists = given["lists"][:10]
    strangers[np.setdiff1d(np.arange(40), [*range(10), *lists.ravel()])] = np.nan
    feed = ListFeed(strangers, np.arange(10), lists, given["gains"][:10], 8, 4, 0, training=False)
    assert len(feed) == 3
    x, y = feed.batch(0, 1)
    assert x.shape == (4, LENGTH + 1, 8)
    np.testing.assert_array_equal(y, given["gains"][4:8])
    for i, query in enumerate(range(4, 8)):
        block = given["vectors"][lists[query]]
        np.testing.assert_allclose(x[i], affinities(given["vectors"][query], block, 8), atol=1e-6)


def test_the_loss_is_its_formula() -> None:
    model = ContextualModel(**SMALL, temperature=0.5, reconstruction=0.3)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    rng = np.random.default_rng(0)
    x, y = rng.random((3, 9, 8)).astype(np.float32), rng.random((3, 8)).astype(np.float32)
    y[1] = 0  # nothing relevant: says nothing
    out = {name: keras.ops.convert_to_numpy(value) for name, value in model(x).items()}
    odds = np.exp(out["cosines"] / 0.5)
    listed = -np.log(((y * odds).sum(1) / odds.sum(1))[[0, 2]]).mean()
    apart = l2_normalise(x.reshape(-1, 8)) - l2_normalise(out["rebuilt"].reshape(-1, 8))
    expected = listed + 0.3 * (apart**2).sum(1).mean()
    assert model.test_on_batch(x, y, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ids": np.arange(3)}, r"vectors \(n, d\) and ids"),
        ({"gains": np.zeros((120, 3))}, r"gains \(q, k\)"),
        ({"queries": np.arange(120) + 1}, "queries must be rows of the 120 vectors"),
        ({"gains": np.full((120, LENGTH), 2.0)}, "gains lie in"),
        ({"anchors": LENGTH + 2}, "anchors=14"),
        ({"held_out": 1.0}, "leaves none"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(tmp_path: Path, changes: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        fit_contextual(**{**training(), **SMALL, **changes}, folder=tmp_path, barred=np.array([5000]))


def test_what_writes_the_network_and_what_reads_it_agree() -> None:
    from aeret.models import contextual as written
    from aeret.retrieval.rerankers import contextual as read

    assert written.VERSION == read.VERSION
    assert np.float32(written.EPSILON) == read._EPSILON


def test_a_network_is_on_the_disk_before_it_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ContextualModel(anchors=4, width=8, layers=1, heads=2)
    flushed: list[bool] = []
    monkeypatch.setattr("os.fsync", lambda _: flushed.append((tmp_path / "c.npz").exists()))
    model.write(tmp_path / "c.npz", np.array([1]))
    assert flushed == [False] and [path.name for path in tmp_path.iterdir()] == ["c.npz"]
    before = (tmp_path / "c.npz").read_bytes()

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        model.write(tmp_path / "c.npz", np.array([2]))
    assert [path.name for path in tmp_path.iterdir()] == ["c.npz"] and (tmp_path / "c.npz").read_bytes() == before
