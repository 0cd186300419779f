"""What a training starts from: weights, pretraining and transfer, each also broken and continued."""

import dataclasses

import keras
import numpy as np
import pytest

from aeret.errors import DataError
from aeret.models.joint import JointModel
from aeret.models.saved_joint import SavedJoint
from aeret.models.weights import layers_of
from aeret.stages import train_cnn
from aeret.training.schedules import learning_rate

from .test_train_cnn import assert_same_weights, run, settings
from .test_train_cnn import inputs as inputs  # the fixture

GAN = {"backbone": "dcgan-discriminator", "pretraining": "gan", "pretraining_epochs": 2}
LAYERS = {"pretraining": "layer-wise", "pretraining_epochs": 2}


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def source(inputs, tmp_path_factory):
    """A short training whose backbone others start from."""
    out = tmp_path_factory.mktemp("source")
    run(inputs, out, training={"epochs": 1, "mixed_precision": "off"})
    return out


def backbone_of(folder):
    model = SavedJoint.load(folder).model
    return layers_of(model, model.backbone_layers)


def moved(folder, before):
    after = backbone_of(folder)
    return {
        name
        for name, arrays in before.items()
        if any(not np.array_equal(one, two) for one, two in zip(arrays, after[name], strict=True))
    }


def kill_at_batch(monkeypatch, number):
    """Stop at one training batch, counted over all phases."""
    from aeret.training import JointFeed

    original, seen = JointFeed.batch, []

    def batch(self, epoch, index):
        if self.training:
            seen.append(epoch)
            if len(seen) == number:
                raise Killed
        return original(self, epoch, index)

    monkeypatch.setattr(JointFeed, "batch", batch)
    return seen


def test_content_of_the_weights_is_in_the_key(inputs, source, tmp_path):
    def key(path):
        return train_cnn.sources(settings(inputs["manifest"], weights=str(path)))

    assert train_cnn.sources(settings(inputs["manifest"])) == {}
    first = key(source)
    assert first.keys() == {"weights"} and key(source / "weights.npz") == first
    path = tmp_path / "a.weights.h5"
    path.write_bytes(b"one")
    one = key(path)
    path.write_bytes(b"two")
    assert len({first["weights"], one["weights"], key(path)["weights"]}) == 3
    with pytest.raises(DataError, match=r"gone\.keras: cannot be read"):
        key(tmp_path / "gone.keras")


def test_frozen_is_the_pooled_map_with_linear_read_outs(inputs, source, tmp_path):
    metrics = run(inputs, tmp_path, weights=str(source), transfer="frozen")
    assert metrics["epochs"] == 0 and metrics["transfer"] == "frozen"
    assert metrics["val_label_map"] > 0.6 and "val_code_r2" in metrics
    assert not moved(tmp_path, backbone_of(source))
    saved = SavedJoint.load(tmp_path)
    photos = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    found = saved.predict(photos)
    assert found["embedding"].shape == (3, 128)  # channels of alexnet-small's map, not embedding_size
    map_of = SavedJoint.load(source).model
    map_of = keras.Model(map_of.input, map_of.get_layer("pool5").output)
    pooled = keras.ops.convert_to_numpy(map_of(photos)).mean((1, 2))
    assert pooled.std() > 0
    np.testing.assert_allclose(found["embedding"], pooled, rtol=1e-4, atol=1e-5)
    assert not (tmp_path / "training").exists()


def test_head_only_moves_no_layer_of_the_backbone(inputs, source, tmp_path):
    run(inputs, tmp_path, weights=str(source), transfer="head-only", training={"epochs": 1})
    assert not moved(tmp_path, backbone_of(source))
    first, after = (SavedJoint.load(each).model.get_layer("embedding").kernel.numpy() for each in (source, tmp_path))
    assert not np.array_equal(first, after)


def test_head_only_moves_nothing_under_batch_normalisation(inputs, tmp_path):
    for name, options in {
        "source": {},
        "after": {"weights": str(tmp_path / "source"), "transfer": "head-only"},
    }.items():
        run(inputs, tmp_path / name, backbone="alexnet-small-bn", training={"epochs": 1}, **options)
    before = backbone_of(tmp_path / "source")
    assert before["conv1_norm"][2].any()  # a moving mean that has moved
    assert not moved(tmp_path / "after", before)


def test_head_only_keeps_moving_statistics():
    cnn = settings("x", backbone="alexnet-small-bn", weights="x", transfer="head-only").cnn
    model = JointModel(cnn, 2, 3, 0)
    model.learn("head")
    before = model.get_layer("conv1_norm").moving_mean.numpy().copy()
    model(np.random.default_rng(0).random((4, 32, 32, 3)).astype(np.float32) * 255, training=True)
    np.testing.assert_array_equal(before, model.get_layer("conv1_norm").moving_mean.numpy())
    model.learn("all")
    model(np.random.default_rng(0).random((4, 32, 32, 3)).astype(np.float32) * 255, training=True)
    assert not np.array_equal(before, model.get_layer("conv1_norm").moving_mean.numpy())


@pytest.mark.parametrize(("unfreeze", "learnt"), [("last-block", {"conv5"}), ("all", {"conv1", "conv5"})])
def test_fine_tuned_moves_heads_then_the_upper_end(inputs, source, tmp_path, unfreeze, learnt):
    options = {"weights": str(source), "transfer": "fine-tuned", "transfer_unfreeze": unfreeze, "transfer_rate": 1.0}
    metrics = run(inputs, tmp_path, **options, training={"epochs": 2, "warmup_epochs": 0, "schedule": "constant"})
    changed = moved(tmp_path, backbone_of(source))
    assert learnt <= changed and ("conv1" in changed) == (unfreeze == "all")
    assert metrics["epochs"] == metrics["best_epoch"] == 2
    assert {"training", "training-head"} <= {path.name for path in tmp_path.iterdir()}
    assert [path.name for path in tmp_path.rglob("*.npz")] == ["weights.npz"]


@pytest.mark.parametrize(("epochs", "warmup"), [(2, 1.0), (3, 5.0), (10, 3.0)])
def test_each_phase_reaches_its_full_rate(epochs, warmup):
    training = {"epochs": epochs, "warmup_epochs": warmup}
    cnn = settings("x", weights="x", transfer="fine-tuned", transfer_rate=0.5, training=training).cnn
    phases = train_cnn._phases(cnn)
    assert sum(phase.training.epochs for phase in phases) == epochs
    for phase, full in zip(phases, (1e-3, 5e-4), strict=True):
        rates = [learning_rate(phase.training, step, 7) for step in range(7 * phase.training.epochs)]
        assert max(rates) == full


def test_layer_wise_pretraining_reports_what_each_block_leaves(inputs, tmp_path):
    training = {"learning_rate": 1e-2, "mixed_precision": "off"}
    metrics = run(inputs, tmp_path, **LAYERS | {"pretraining_epochs": 6}, transfer="frozen", training=training)
    left = metrics["pretraining_left"]
    assert list(left) == [f"conv{number}" for number in range(1, 6)]
    assert left["conv1"] < 0.9  # the mean leaves 1
    assert (tmp_path / "pretraining" / "01-conv1" / "history.csv").is_file()
    assert [path.name for path in tmp_path.rglob("*.npz")] == ["weights.npz"]


def test_gan_pretraining_trains_the_discriminator(inputs, tmp_path):
    metrics = run(inputs, tmp_path, **GAN, transfer="frozen")
    assert metrics["pretraining_discriminator_loss"] > 0 and 0 <= metrics["pretraining_accuracy"] <= 1
    assert np.load(tmp_path / "pretraining" / "generated.npy").shape == (16, 32, 32, 3)
    assert (tmp_path / "pretraining" / "history.csv").read_text().count("\n") == 3
    assert SavedJoint.load(tmp_path).predict(np.zeros((1, 32, 32, 3), np.uint8))["embedding"].shape == (1, 512)


@pytest.mark.parametrize("change", [-1.0, 1.0])
def test_fine_tuned_keeps_the_better_of_its_phases(inputs, source, tmp_path, monkeypatch, change):
    from aeret import training

    original, found = training.fit, []

    def fit(*args, **options):
        history = original(*args, **options)
        found.append(dataclasses.replace(history, best=history.best + change * len(found) * 100))
        return found[-1]

    monkeypatch.setattr(training, "fit", fit)
    options = {"weights": str(source), "transfer": "fine-tuned", "transfer_unfreeze": "all"}
    metrics = run(inputs, tmp_path, **options, training={"epochs": 2})
    worse = change > 0
    assert metrics["kept_phase"] == ("head" if worse else "all")
    assert metrics["best_epoch"] == (1 if worse else 2) and metrics["epochs"] == 2
    assert metrics["val_loss"] == found[0 if worse else 1].rows[0]["val_loss"]
    assert bool(moved(tmp_path, backbone_of(source))) != worse


def test_the_second_phase_sees_epochs_of_its_own(inputs, source, tmp_path, monkeypatch):
    seen = kill_at_batch(monkeypatch, -1)
    run(inputs, tmp_path, weights=str(source), transfer="fine-tuned", training={"epochs": 3})
    assert sorted(set(seen)) == [0, 1, 2]
    assert seen == sorted(seen)


# Four batches an epoch: in the second phase; in the third of five blocks of one epoch each; in the second epoch.
@pytest.mark.parametrize(
    ("options", "number"),
    [
        ({"transfer": "fine-tuned", "dropout": 0.3}, 6),
        (LAYERS | {"pretraining_epochs": 1, "transfer": "frozen"}, 10),
        (GAN | {"transfer": "frozen"}, 6),
    ],
    ids=["fine-tuned", "layer-wise", "gan"],
)
def test_a_broken_run_goes_on_to_the_same_model(inputs, source, tmp_path, monkeypatch, options, number):
    if "pretraining" not in options:
        options = options | {"weights": str(source)}
    options = options | {"training": {"epochs": 2, "mixed_precision": "off"}}
    with monkeypatch.context() as patch:
        seen = kill_at_batch(patch, -1)
        unbroken = run(inputs, tmp_path / "unbroken", **options)
        count = len(seen)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at_batch(patch, number)
        run(inputs, tmp_path / "broken", **options)
    with monkeypatch.context() as patch:
        seen = kill_at_batch(patch, -1)
        again = run(inputs, tmp_path / "broken", **options)
    assert 0 < len(seen) < count  # what was done is not done again
    times = {"train_seconds", "photos_per_second", "pretraining_seconds"}
    if options.get("pretraining") == "gan":  # adds up in the order its branches finish: equal but for rounding
        first, second = backbone_of(tmp_path / "unbroken"), backbone_of(tmp_path / "broken")
        for name, arrays in first.items():
            for one, two in zip(arrays, second[name], strict=True):
                np.testing.assert_allclose(one, two, rtol=0.02, atol=5e-3, err_msg=name)
        assert again.keys() == unbroken.keys()
        return
    assert_same_weights(tmp_path / "unbroken", tmp_path / "broken")
    assert {name: again[name] for name in again.keys() - times} == {
        name: unbroken[name] for name in unbroken.keys() - times
    }
