"""The training loop on a network of forty weights."""

import csv
import errno
import json
import math
from contextlib import contextmanager

import keras
import numpy as np
import pytest
from tiny_training import Points, Regression, train, weights

from aeret.errors import DivergedError, ResourceError, RunError, UnknownNameError
from aeret.settings import TrainingSettings
from aeret.training import FitOptions, checkpoint, clear, fit, precision
from aeret.training.optimizers import build_optimizer, is_kernel


def fit_points(tmp_path, model=None, validation=True, seed=0, **options):
    settings = TrainingSettings(**{"epochs": 3, "learning_rate": 0.01, **options})
    model = model or Regression()
    held_out = Points(12, seed, False) if validation else None
    return model, fit(model, Points(36, seed, True), held_out, settings, tmp_path, seed)


def assert_same(first, second):
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("optimizer", "schedule"), [("sgd", "step"), ("adam", "constant"), ("adamw", "cosine"), ("adamw", "plateau")]
)
def test_training_lowers_the_loss(tmp_path, optimizer, schedule):
    options = {"epochs": 12, "learning_rate": 0.02, "weight_decay": 0.01 if optimizer == "adamw" else 0.0}
    _, history = fit_points(tmp_path, Regression(dropout=0.0), optimizer=optimizer, schedule=schedule, **options)
    assert history.best < 0.5 * history.rows[0]["val_loss"]


def test_same_seed_twice_gives_identical_weights(tmp_path):
    first, history = train(tmp_path / "a", clip_norm=1.0)
    second, again = train(tmp_path / "b", clip_norm=1.0)
    assert_same(weights(first), weights(second))
    assert history.column("val_loss") == again.column("val_loss")
    other, _ = train(tmp_path / "c", clip_norm=1.0, seed=1)
    assert not np.array_equal(weights(first)[0], weights(other)[0])


def test_history_on_disk_is_the_history(tmp_path):
    _, history = train(tmp_path)
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [float(row["val_loss"]) for row in rows] == history.column("val_loss")
    assert [int(row["epoch"]) for row in rows] == list(range(1, 7))
    assert history.best == min(history.column("val_loss"))
    assert history.rows[history.best_epoch - 1]["val_loss"] == history.best
    assert history.seconds > 0
    assert history.examples_per_second > 0


def test_learning_rate_of_each_epoch_follows_the_schedule(tmp_path):
    _, history = fit_points(tmp_path, schedule="step", step_epochs=1, step_factor=0.5, warmup_epochs=1.0)
    assert history.column("learning_rate") == [0.01, 0.01, 0.005]


def test_the_best_weights_come_back(tmp_path):
    model, history = train(tmp_path, learning_rate=0.3, schedule="constant", average_weights=0.0)
    assert history.best_epoch < 6  # at such a rate the last epoch is not the best
    values = [model.test_on_batch(*Points(12, 0, False).batch(0, index), return_dict=True)["loss"] for index in (0, 1)]
    assert (8 * values[0] + 4 * values[1]) / 12 == pytest.approx(history.best, rel=1e-6)


def test_without_a_monitor_the_last_epoch_is_kept_and_there_is_no_best_loss(tmp_path):
    with precision("off"):
        model = Regression()
    history = fit(model, Points(36, 0, True), None, TrainingSettings(epochs=2), tmp_path, 0, FitOptions(monitor="last"))
    assert (history.best_epoch, math.isnan(history.best)) == (2, True)


def test_a_later_training_goes_on_where_the_feed_was(tmp_path):
    class Noted(Points):
        def batch(self, epoch, index):
            epochs.append(epoch)
            return super().batch(epoch, index)

    epochs: list[int] = []
    settings = TrainingSettings(epochs=2)
    fit(Regression(), Noted(36, 0, True), None, settings, tmp_path, 0, FitOptions(seen=3))
    assert sorted(set(epochs)) == [3, 4]


def test_early_stop(tmp_path):
    _, history = fit_points(tmp_path, epochs=50, learning_rate=0.3, early_stop_patience=2, schedule="constant")
    assert history.stopped_early
    assert len(history.rows) == history.best_epoch + 2
    _, repeated = fit_points(tmp_path, epochs=50, learning_rate=0.3, early_stop_patience=2, schedule="constant")
    assert repeated.rows == history.rows  # nothing more was run


def test_averaged_weights_are_the_moving_average(tmp_path):
    """With decay 0 < d < 1 after one epoch of four steps, worked from the trained weights of each step."""
    decay, seen = 0.8, []

    class Watched(Regression):
        def train_on_batch(self, *args, **options):
            result = super().train_on_batch(*args, **options)
            seen.append([variable.numpy().copy() for variable in self.trainable_variables])
            return result

    model, _ = fit_points(tmp_path, Watched(), epochs=1, average_weights=decay)
    expected = seen[0]
    for step in seen[1:]:
        expected = [decay * average + (1 - decay) * value for average, value in zip(expected, step, strict=True)]
    for variable, average in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(variable.numpy(), average, rtol=1e-5, atol=1e-7)


def test_penalties_shrink_kernels_only(tmp_path):
    options = {"epochs": 8, "learning_rate": 0.05}
    plain, _ = fit_points(tmp_path / "plain", **options)
    ridge, history = fit_points(tmp_path / "ridge", l1=0.05, l2=0.2, **options)

    def size(model):
        return sum(
            float(np.abs(variable.numpy()).sum()) for variable in model.trainable_variables if is_kernel(variable)
        )

    assert size(ridge) < 0.8 * size(plain)
    assert all(variable.regularizer is None for variable in ridge.trainable_variables if not is_kernel(variable))
    assert history.rows[0]["loss"] > history.rows[0]["val_loss"]  # the penalty counts in training only


def test_weight_decay_leaves_biases_alone():
    model = Regression()
    optimizer = build_optimizer(TrainingSettings(weight_decay=0.5, learning_rate=0.1), model.trainable_variables)
    before = [variable.numpy().copy() for variable in model.trainable_variables]
    optimizer.apply([keras.ops.zeros_like(variable) for variable in model.trainable_variables])
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_allclose(variable.numpy(), value * (0.95 if is_kernel(variable) else 1), rtol=1e-5)


def test_clipping_bounds_the_step():
    variable = keras.Variable(np.zeros((2, 2), np.float32))
    settings = TrainingSettings(optimizer="sgd", momentum=0, clip_norm=1.0, learning_rate=1.0)
    optimizer = build_optimizer(settings, [variable])
    optimizer.apply([keras.ops.convert_to_tensor(np.full((2, 2), 30, np.float32))])
    np.testing.assert_allclose(np.linalg.norm(variable.numpy()), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", ["bfloat16", "float16"])
def test_mixed_precision(tmp_path, name):
    model, history = train(tmp_path, mixed_precision=name, average_weights=0.0)
    assert keras.config.dtype_policy().name == "float32"
    assert model.hidden.compute_dtype == name
    assert all(keras.backend.standardize_dtype(variable.dtype) == "float32" for variable in model.trainable_variables)
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (name == "float16")
    assert all(math.isfinite(value) for value in history.column("loss"))


def test_precision_must_fit_the_model(tmp_path):
    with pytest.raises(RunError, match=r"built under the precision 'float32'.*'mixed_bfloat16'.*with precision"):
        fit_points(tmp_path, mixed_precision="bfloat16")
    with pytest.raises(UnknownNameError, match="bfloat16"), precision("bfloat"):
        pass


def test_precision_is_restored_after_an_error():
    with pytest.raises(ZeroDivisionError), precision("float16"):
        raise ZeroDivisionError
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_explains_itself(tmp_path, bad):
    class Poisoned(Points):
        def batch(self, epoch, index):
            x, y = super().batch(epoch, index)
            return (x, y + np.float32(bad)) if (epoch, index) == (1, 2) else (x, y)

    with pytest.raises(DivergedError) as caught:
        fit(Regression(), Poisoned(36, 0, True), None, TrainingSettings(learning_rate=0.01), tmp_path, 0)
    message = str(caught.value)
    for part in (
        "epoch 2, step 3 of 4",
        "loss=",
        "learning rate of 0.00994911",
        "(now 0.01)",
        "training.clip_norm=1",
        "NaN in the input",
    ):
        assert part in message
    assert (tmp_path / "checkpoint.npz").exists()  # of the epoch before


def test_divergence_on_validation_is_told(tmp_path):
    held_out = Points(12, 0, False, bad=math.inf)
    with pytest.raises(DivergedError, match="validation after epoch 1"):
        fit(Regression(), Points(36, 0, True), held_out, TrainingSettings(), tmp_path, 0)


def test_without_validation_the_training_loss_chooses(tmp_path):
    _, history = fit_points(tmp_path, validation=False)
    assert history.monitor == "loss"
    assert not any(name.startswith("val_") for name in history.rows[0])


def test_unknown_monitor_lists_what_there_is(tmp_path):
    with pytest.raises(RunError, match=r"'val_iou' to monitor.*val_loss"):
        fit(
            Regression(),
            Points(36, 0, True),
            Points(9, 0, False),
            TrainingSettings(),
            tmp_path,
            0,
            FitOptions(monitor="val_iou"),
        )


def test_another_run_in_the_folder_starts_anew(tmp_path, caplog):
    fit_points(tmp_path, epochs=2)
    _, history = fit_points(tmp_path, epochs=3)
    assert "other settings" in caplog.text
    _, expected = fit_points(tmp_path / "fresh", epochs=3)
    assert history.column("loss") == expected.column("loss")


def test_another_model_of_the_same_shapes_starts_anew(tmp_path, caplog):
    class Line(keras.Model):
        def __init__(self, weight):
            super().__init__()
            self.slope = self.add_weight(name=weight, shape=(3, 2), initializer="zeros")
            self.built = True

        def call(self, inputs):
            return keras.ops.matmul(inputs, self.slope)

        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return keras.ops.mean(keras.ops.square(y_pred - y))

    fit_points(tmp_path, Line("slope"))
    fit_points(tmp_path, Line("slope"))
    assert not caplog.text
    fit_points(tmp_path, Line("tangent"))
    assert "other settings, data sizes or variables" in caplog.text


@pytest.mark.parametrize("content", [b"PK\x03\x04half", b""])
def test_damaged_checkpoint_says_what_to_do(tmp_path, content):
    fit_points(tmp_path)
    (tmp_path / "checkpoint.npz").write_bytes(content)
    with pytest.raises(RunError, match=r"checkpoint\.npz: is damaged.*delete it") as caught:
        fit_points(tmp_path)
    assert caught.value.exit_code == 1, "of this run only"


def test_a_full_disk_is_no_matter_of_this_run_alone(tmp_path, monkeypatch):
    def full(*arguments, **arrays):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", full)
    with pytest.raises(ResourceError, match=r"checkpoint cannot be written: No space left on device\. Free some space"):
        fit_points(tmp_path)


def test_clear_leaves_history_and_logs(tmp_path):
    fit_points(tmp_path)
    clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.csv", "tensorboard"]


def test_tensorboard_reads_the_log(tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    _, history = train(tmp_path)
    (path,) = (tmp_path / "tensorboard").iterdir()
    found = {}
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            found[event.step, value.tag] = value.tensor.float_val[0] if value.tensor.float_val else value.simple_value
    for row in history.rows:
        assert found[row["epoch"], "validation/loss"] == pytest.approx(row["val_loss"])
        assert found[row["epoch"], "train/learning_rate"] == pytest.approx(row["learning_rate"])


def test_progress_shows_every_example_and_the_time_left(tmp_path):
    bars = []

    @contextmanager
    def watch(title, total, unit="item", done=0):
        bars.append([title, total, unit, 0])

        def step(count):
            bars[-1][3] += count

        yield step

    settings = TrainingSettings(epochs=2)
    fit(Regression(), Points(36, 0, True), Points(9, 0, False), settings, tmp_path, 0, FitOptions(watch, unit="mask"))
    assert [bar[1:] for bar in bars] == [[32, "mask", 32]] * 2
    assert bars[0][0] == "train epoch 1/2"
    assert "val_loss" in bars[1][0]
    assert bars[1][0].endswith("left)")


def test_state_is_json_and_arrays_only(tmp_path):
    """No pickle: a checkpoint can be opened by anyone without running anything."""
    fit_points(tmp_path)
    with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as file:
        meta = json.loads(str(file["meta"]))
    assert meta["epoch"] == 3
    assert meta["finished"]
