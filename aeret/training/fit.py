"""Train a model epoch by epoch, and resume where a killed run stopped."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from aeret.artifacts import digest, write_text
from aeret.errors import RunError
from aeret.progress import Progress, silent
from aeret.settings import TrainingSettings
from aeret.training import checkpoint
from aeret.training.checks import check_finite, check_precision
from aeret.training.feeds import Feed, prefetch
from aeret.training.optimizers import build_optimizer, penalise
from aeret.training.schedules import learning_rate
from aeret.training.tensorboard import ScalarLog

HISTORY = "history.csv"
LAST = "last"
"""The monitor that keeps the last epoch, for losses that do not say which is best."""
_TIMES = ("seconds", "train_seconds", "examples_per_second")


@dataclass(frozen=True)
class History:
    """What a training did, epoch by epoch."""

    rows: tuple[dict[str, float], ...]
    """One row an epoch: epoch (1-based), learning_rate (of its last step), the means of every loss over the epoch's
    examples, the same over the validation feed as ``val_...``, train_seconds, seconds, examples_per_second."""
    best_epoch: int
    """The epoch whose weights the model now holds, 1-based."""
    best: float
    """The monitored loss of that epoch; NaN where none was monitored and the last epoch was kept."""
    monitor: str
    stopped_early: bool

    def column(self, name: str) -> list[float]:
        """Return one quantity over the epochs."""
        return [row[name] for row in self.rows]

    @property
    def seconds(self) -> float:
        """Wall time of all epochs, of all the attempts that ended in a checkpoint."""
        return sum(self.column("seconds"))

    @property
    def examples_per_second(self) -> float:
        """Training examples a second, validation and checkpoints left out."""
        examples = sum(row["examples_per_second"] * row["train_seconds"] for row in self.rows)
        return examples / max(sum(self.column("train_seconds")), 1e-9)


@dataclass(frozen=True)
class FitOptions:
    """How a training chooses its epoch and shows itself."""

    progress: Progress = silent
    """Shows one bar an epoch, with examples a second and time left."""
    title: str = "train"
    """What the bar says."""
    unit: str = "photo"
    """What the examples are."""
    monitor: str = "val_loss"
    """Quantity to minimise: ``loss`` or a metric of the model, with ``val_`` for validation; ``last`` keeps the last
    epoch."""
    seen: int = 0
    """Epochs of the feed that an earlier training of the model has had: this one goes on after them."""


DEFAULTS = FitOptions()


def fit(
    model: Any,
    train: Feed,
    validation: Feed | None,
    settings: TrainingSettings,
    folder: Path,
    seed: int,
    options: FitOptions = DEFAULTS,
) -> History:
    """Train a model; continue where a killed run of the same training in the same folder stopped.

    At the end the model holds the weights of the epoch with the lowest monitored loss (averaged weights where
    ``average_weights`` is on). The folder then holds ``history.csv``, ``tensorboard/`` and the checkpoints, which
    :func:`aeret.training.clear` deletes once the model is saved.

    Args:
        model: a built, uncompiled ``keras.Model``, made inside :func:`aeret.training.precision`. It overrides
            ``compute_loss(x, y, y_pred, sample_weight, training)`` and adds ``self.losses`` there when ``training``
            (the L1 and L2 penalties). Its ``keras.metrics`` are reported beside the loss. Every random layer has its
            own seed.
        train: the training feed.
        validation: the feed that chooses the epoch, never queries. None monitors ``loss``.
        settings: how to train.
        folder: where the run keeps its state. A checkpoint in it is continued when settings, seed, monitor, numbers of
            examples and the model's variables are the same; other feeds or losses need a folder of their own.
        seed: the run's seed; part of the checkpoint's identity.
        options: monitor, progress and titles.

    Raises:
        DivergedError: a loss became NaN or infinite; says epoch, step, rate, likely causes and mends.
        RunError: the model was built under another precision than ``settings`` ask for, or there is no such monitor.
        AeretError: a checkpoint cannot be written (:func:`aeret.artifacts.system_error`) or is damaged.
    """
    check_precision(model, settings)
    if validation is None:
        options = replace(options, monitor=options.monitor.removeprefix("val_"))
    folder.mkdir(parents=True, exist_ok=True)
    penalise(settings, model.trainable_variables)
    optimizer = build_optimizer(settings, model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=_jit(), auto_scale_loss=False)
    state = [*model.variables, *optimizer.variables]
    fingerprint = digest(_identity(model, train, validation, settings, seed, options))
    position = checkpoint.load(folder, fingerprint, state)
    epochs = _Epochs(model, train, validation, settings, folder, options)
    _write_history(folder, position.rows)
    with closing(ScalarLog(folder / "tensorboard", position.epoch)) as scalars:
        while position.epoch < settings.epochs and not position.finished:
            row = epochs.run(position)
            position.epoch += 1
            position.rows.append(row)
            position.finished = position.epoch == settings.epochs or position.selection.should_stop(settings)
            checkpoint.save(folder, fingerprint, state, position)
            _write_history(folder, position.rows)
            scalars.write(position.epoch, {_tag(name): value for name, value in row.items() if name != "epoch"})
    selection = position.selection
    checkpoint.load_best(folder, selection.best_epoch, model.variables)
    best = math.nan if options.monitor == LAST else selection.best
    return History(tuple(position.rows), selection.best_epoch, best, options.monitor, position.epoch < settings.epochs)


def _identity(
    model: Any, train: Feed, validation: Feed | None, settings: TrainingSettings, seed: int, options: FitOptions
) -> dict[str, Any]:
    return {
        "settings": settings.model_dump(),
        "seed": seed,
        "train": [train.examples, len(train)],
        "validation": [validation.examples, len(validation)] if validation else None,
        "monitor": options.monitor,
        "seen": options.seen,
        # Not their paths: Keras counts layers without a name up within a process.
        "variables": [[v.name, list(v.shape), keras.backend.standardize_dtype(v.dtype)] for v in model.variables],
    }


@dataclass(frozen=True)
class _Epochs:
    """Runs single epochs of one training."""

    model: Any
    train: Feed
    validation: Feed | None
    settings: TrainingSettings
    folder: Path
    options: FitOptions

    def run(self, position: checkpoint.Position) -> dict[str, float]:
        """Train and validate for one epoch; move the position's selection, save the best weights, return the row."""
        began = time.perf_counter()
        means, rate, count = self._train(position)
        train_seconds = time.perf_counter() - began
        number, monitor = position.epoch + 1, self.options.monitor
        row = {"epoch": number, "learning_rate": rate, **means}
        with _averaged(self.model, self.settings):
            if self.validation is not None:
                values = _evaluate(self.model, self.validation)
                check_finite(values, f"validation after epoch {number}", rate, self.settings)
                row |= {f"val_{name}": value for name, value in values.items()}
            if monitor not in row and monitor != LAST:
                raise RunError(f"there is no quantity {monitor!r} to monitor; this model reports {', '.join(row)}.")
            value = -float(number) if monitor == LAST else row[monitor]
            position.selection = position.selection.after(number, value, self.settings)
            if position.selection.best_epoch == number:
                checkpoint.save_best(self.folder, number, self.model.variables)
        seconds = time.perf_counter() - began
        return row | dict(zip(_TIMES, (seconds, train_seconds, count / max(train_seconds, 1e-9)), strict=True))

    def _train(self, position: checkpoint.Position) -> tuple[dict[str, float], float, int]:
        """Run the steps of one epoch; return mean losses, the last learning rate and the number of examples."""
        epoch, steps, options = position.epoch, len(self.train), self.options
        title = f"{options.title} epoch {epoch + 1}/{self.settings.epochs}{self._left(position)}"
        count, rate = 0, 0.0
        means: dict[str, float] = {}
        with (
            _running_means(self.model),
            options.progress(title, steps * self.train.batch_size, unit=options.unit) as advance,
        ):
            for index, (x, y) in enumerate(prefetch(self.train, options.seen + epoch)):
                rate = learning_rate(self.settings, epoch * steps + index, steps, position.selection.reductions)
                self.model.optimizer.learning_rate = rate
                means = _floats(self.model.train_on_batch(x, y, return_dict=True))
                # A mean stays NaN once a batch was, so the first one stops here.
                check_finite(means, f"epoch {epoch + 1}, step {index + 1} of {steps}", rate, self.settings)
                count += _length(x)
                advance(_length(x))
        return means, rate, count

    def _left(self, position: checkpoint.Position) -> str:
        if not position.rows:
            return ""
        last = position.rows[-1]
        minutes, seconds = divmod(round((self.settings.epochs - position.epoch) * last["seconds"]), 60)
        shown = "loss" if self.options.monitor == LAST else self.options.monitor
        return f" ({shown} {last[shown]:.4g}, {minutes}:{seconds:02d} left)"


def _evaluate(model: Any, feed: Feed) -> dict[str, float]:
    means: dict[str, float] = {}
    with _running_means(model):
        for x, y in prefetch(feed, 0):
            means = _floats(model.test_on_batch(x, y, return_dict=True))
    return means


@contextmanager
def _running_means(model: Any) -> Iterator[None]:
    """Let the model's metrics be means over all examples since here.

    Keras sets them back before every single batch: four eager operations between two steps, 1 % of a step of 75 ms.
    """
    model.reset_metrics()
    model.reset_metrics = lambda: None
    try:
        yield
    finally:
        del model.reset_metrics


def _floats(losses: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in losses.items()}


class _averaged:
    """Hold the averaged weights in the model for a while, and put the trained ones back."""

    def __init__(self, model: Any, settings: TrainingSettings) -> None:
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        # Keras offers the averages only through this attribute; its own SwapEMAWeights swaps by adding and subtracting,
        # which rounds, and a resumed run would no longer be bit for bit the unbroken one.
        self._pairs = (
            list(zip(model.trainable_variables, optimizer._model_variables_moving_average, strict=True))
            if settings.average_weights
            else []
        )
        self._kept: list[Any] = []

    def __enter__(self) -> None:
        self._kept = [variable.numpy().copy() for variable, _ in self._pairs]
        for variable, average in self._pairs:
            # By value: on JAX an assigned buffer is shared, and a step that donates it would delete the average too.
            variable.assign(average.numpy().copy())

    def __exit__(self, *error: object) -> None:
        for (variable, _), value in zip(self._pairs, self._kept, strict=True):
            variable.assign(value)


def _jit() -> bool | str:
    """XLA makes convolutions 1.2 to 1.7 times slower on CPU; JAX is nothing without it."""
    backend = keras.backend.backend()
    if backend == "tensorflow" and keras.distribution.list_devices("gpu"):
        return "auto"
    return bool(backend == "jax")


def _length(x: Any) -> int:
    return len(next(iter(x.values())) if isinstance(x, dict) else x)


def _tag(name: str) -> str:
    return f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}"


def _write_history(folder: Path, rows: list[dict[str, float]]) -> None:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_text(folder / HISTORY, text.getvalue())
