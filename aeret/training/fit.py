"""Run the epochs: the one training loop of aeret, for any model that brings its own loss.

The loop calls ``model.train_on_batch`` and keeps every decision outside the graph (rate of the step, best epoch, stop),
so what is committed after an epoch is all there is, on every Keras backend. On CPU a run is then a pure function of
(weights, feed, settings), bit for bit; on a GPU up to rounding, since the order in which its kernels add up gradients
is not fixed without switches that aeret leaves alone. The loop's cost over the bare train step is measured in
``benchmarks/bench_epoch.py``.
"""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from aeret.artifacts import digest, write_text
from aeret.errors import DivergedError, RunError
from aeret.progress import Progress, silent
from aeret.settings import TrainingSettings
from aeret.training import checkpoint
from aeret.training.feeds import Feed, prefetch
from aeret.training.optimizers import build_optimizer, penalise
from aeret.training.precision import POLICIES
from aeret.training.schedules import learning_rate
from aeret.training.tensorboard import ScalarLog

HISTORY = "history.csv"
LAST = "last"
"""What ``fit`` monitors where no loss says which epoch is best: it keeps the last."""
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


def fit(
    model: Any,
    train: Feed,
    validation: Feed | None,
    settings: TrainingSettings,
    folder: Path,
    seed: int,
    progress: Progress = silent,
    monitor: str = "val_loss",
    title: str = "train",
    unit: str = "photo",
    seen: int = 0,
) -> History:
    """Train a model; continue where a killed run of the same training in the same folder stopped: on CPU bit for bit.

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
            examples and the model's variables (names, shapes, types) are the same; it cannot tell other content of the
            feeds or another loss, so those need a folder of their own (stages have one for each digest of all inputs).
        seed: the run's seed; part of the checkpoint's identity.
        progress: shows one bar an epoch, with examples a second and time left.
        monitor: the quantity to minimise: ``loss`` or a metric of the model, with ``val_`` for validation; or ``last``
            to keep the last epoch, where no loss says which is best (adversarial training).
        title: what the bar says.
        unit: what the examples are.
        seen: epochs of the feed that an earlier training of the model has had: this one goes on after them, with an
            order and augmentation of its own.

    Raises:
        DivergedError: a loss became NaN or infinite; says epoch, step, rate, likely causes and mends.
        RunError: the model was built under another precision than ``settings`` ask for, or there is no such monitor.
        AeretError: a checkpoint cannot be written (:func:`aeret.artifacts.system_error`) or is damaged.
    """
    _check_precision(model, settings)
    if validation is None:
        monitor = monitor.removeprefix("val_")
    folder.mkdir(parents=True, exist_ok=True)
    penalise(settings, model.trainable_variables)
    optimizer = build_optimizer(settings, model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=_jit(), auto_scale_loss=False)
    state = [*model.variables, *optimizer.variables]
    identity = {
        "settings": settings.model_dump(),
        "seed": seed,
        "train": [train.examples, len(train)],
        "validation": [validation.examples, len(validation)] if validation else None,
        "monitor": monitor,
        "seen": seen,
        # Not their paths: Keras counts layers without a name up within a process.
        "variables": [[v.name, list(v.shape), keras.backend.standardize_dtype(v.dtype)] for v in model.variables],
    }
    fingerprint = digest(identity)
    position = checkpoint.load(folder, fingerprint, state)
    _write_history(folder, position.rows)
    with closing(ScalarLog(folder / "tensorboard", position.epoch)) as scalars:
        while position.epoch < settings.epochs and not position.finished:
            words = (title, unit)
            row, best = _epoch(model, train, validation, settings, position, monitor, progress, words, folder, seen)
            position.epoch += 1
            position.rows.append(row)
            position.selection = best
            position.finished = position.epoch == settings.epochs or best.should_stop(settings)
            checkpoint.save(folder, fingerprint, state, position)
            _write_history(folder, position.rows)
            scalars.write(position.epoch, {_tag(name): value for name, value in row.items() if name != "epoch"})
    checkpoint.load_best(folder, position.selection.best_epoch, model.variables)
    selection = position.selection
    best_loss = math.nan if monitor == LAST else selection.best
    return History(tuple(position.rows), selection.best_epoch, best_loss, monitor, position.epoch < settings.epochs)


def _epoch(
    model: Any,
    train: Feed,
    validation: Feed | None,
    settings: TrainingSettings,
    position: checkpoint.Position,
    monitor: str,
    progress: Progress,
    words: tuple[str, str],
    folder: Path,
    seen: int,
) -> tuple[dict[str, float], Any]:
    epoch, selection = position.epoch, position.selection
    began = time.perf_counter()
    title = f"{words[0]} epoch {epoch + 1}/{settings.epochs}{_left(position, settings, monitor)}"
    count, rate = 0, 0.0
    means: dict[str, float] = {}
    with _running_means(model), progress(title, len(train) * train.batch_size, unit=words[1]) as advance:
        for index, (x, y) in enumerate(prefetch(train, seen + epoch)):
            rate = learning_rate(settings, epoch * len(train) + index, len(train), selection.reductions)
            model.optimizer.learning_rate = rate
            means = _floats(model.train_on_batch(x, y, return_dict=True))
            # A mean stays NaN once a batch was, so the first one stops here.
            _check_finite(means, f"epoch {epoch + 1}, step {index + 1} of {len(train)}", rate, settings)
            count += _length(x)
            advance(_length(x))
    train_seconds = time.perf_counter() - began
    row = {"epoch": epoch + 1, "learning_rate": rate, **means}
    with _averaged(model, settings):
        if validation is not None:
            values = _evaluate(model, validation)
            _check_finite(values, f"validation after epoch {epoch + 1}", rate, settings)
            row |= {f"val_{name}": value for name, value in values.items()}
        if monitor not in row and monitor != LAST:
            raise RunError(f"there is no quantity {monitor!r} to monitor; this model reports {', '.join(row)}.")
        value = -float(epoch + 1) if monitor == LAST else row[monitor]
        selection = selection.after(epoch + 1, value, settings)
        if selection.best_epoch == epoch + 1:
            checkpoint.save_best(folder, epoch + 1, model.variables)
    seconds = time.perf_counter() - began
    row |= dict(zip(_TIMES, (seconds, train_seconds, count / max(train_seconds, 1e-9)), strict=True))
    return row, selection


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


def _check_precision(model: Any, settings: TrainingSettings) -> None:
    expected = POLICIES[settings.mixed_precision]
    if model.dtype_policy.name != expected:
        raise RunError(
            f"the model was built under the precision {model.dtype_policy.name!r}, the settings ask for {expected!r}: "
            f"build it inside `with precision({settings.mixed_precision!r})`."
        )


def _check_finite(losses: dict[str, float], place: str, rate: float, settings: TrainingSettings) -> None:
    wrong = [name for name, value in losses.items() if not math.isfinite(value)]
    if not wrong:
        return
    mends = [f"lower training.learning_rate (now {settings.learning_rate:g})"]
    if settings.warmup_epochs < 1:
        mends.append(f"raise training.warmup_epochs (now {settings.warmup_epochs:g})")
    if not settings.clip_norm:
        mends.append("set training.clip_norm=1")
    if settings.mixed_precision != "off":
        mends.append(f"set training.mixed_precision=off (now {settings.mixed_precision})")
    values = ", ".join(f"{name}={losses[name]}" for name in wrong)
    raise DivergedError(
        f"The training diverged at {place}: {values}, at a learning rate of {rate:g}. "
        "Likely causes: steps too large for this network, loss or precision; or NaN in the input. "
        f"Mends, one at a time: {'; '.join(mends)}."
    )


def _jit() -> bool | str:
    """XLA makes convolutions 1.2 to 1.7 times slower on CPU; JAX is nothing without it."""
    backend = keras.backend.backend()
    if backend == "tensorflow" and keras.distribution.list_devices("gpu"):
        return "auto"
    return bool(backend == "jax")


def _length(x: Any) -> int:
    return len(next(iter(x.values())) if isinstance(x, dict) else x)


def _left(position: checkpoint.Position, settings: TrainingSettings, monitor: str) -> str:
    if not position.rows:
        return ""
    last = position.rows[-1]
    minutes, seconds = divmod(round((settings.epochs - position.epoch) * last["seconds"]), 60)
    shown = "loss" if monitor == LAST else monitor
    return f" ({shown} {last[shown]:.4g}, {minutes}:{seconds:02d} left)"


def _tag(name: str) -> str:
    return f"validation/{name.removeprefix('val_')}" if name.startswith("val_") else f"train/{name}"


def _write_history(folder: Path, rows: list[dict[str, float]]) -> None:
    write_text(folder / HISTORY, "".join(_csv_lines(rows)))


def _csv_lines(rows: list[dict[str, float]]) -> Iterator[str]:
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    yield text.getvalue()
