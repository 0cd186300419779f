"""A network and feeds small enough to train in a second; also run as a program, to be killed and resumed."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from aeret.settings import TrainingSettings
from aeret.training import Feed, History, fit, precision


class Regression(keras.Model):
    """A dense network with dropout that fits y by mean squared error."""

    def __init__(self, width: int = 8, dropout: float = 0.2) -> None:
        super().__init__()
        seeds = iter(range(1, 9))

        def dense(units: int, activation: str | None = None) -> Any:
            kernel = keras.initializers.GlorotUniform(next(seeds))
            return keras.layers.Dense(units, activation, kernel_initializer=kernel)

        self.hidden = dense(width, "relu")
        self.normalisation = keras.layers.BatchNormalization(momentum=0.5)
        self.dropout = keras.layers.Dropout(dropout, seed=7)
        self.out = dense(2)
        self.build((None, 3))

    def build(self, shape: Any) -> None:
        self.call(keras.KerasTensor((None, 3)))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        hidden = self.normalisation(self.hidden(inputs), training=training)
        return self.out(self.dropout(hidden, training=training))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        loss = keras.ops.mean(keras.ops.square(keras.ops.cast(y_pred, "float32") - y))
        return loss + sum(self.losses) if training else loss


class Points(Feed):
    """y = x A with fresh noise on x in each epoch."""

    def __init__(self, count: int, seed: int, training: bool, bad: float = 0.0) -> None:
        super().__init__(count, 8, seed, training)
        self.x = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)
        slope = np.array([[1, -2], [0.5, 1], [-1, 0]], np.float32)
        self.y = self.x @ slope + np.float32(bad)

    def batch(self, epoch: int, index: int) -> Any:
        rows = self.rows(epoch, index)
        x = self.x[rows]
        if self.training:
            x = x + self.rng(epoch, index).normal(0, 0.1, x.shape).astype(np.float32)
        return x, self.y[rows]


PLATEAU: dict[str, Any] = {
    "epochs": 7,
    "learning_rate": 0.3,
    "schedule": "plateau",
    "plateau_patience": 2,
    "average_weights": 0.8,
}
"""The loss is lowest after epoch 4; after epoch 6, the second without a better one, the plateau lowers the rate."""


def train(folder: Path, seed: int = 0, **options: Any) -> tuple[Regression, History]:
    """Train a fresh network on 36 points, four batches an epoch."""
    settings = TrainingSettings(**{"epochs": 6, "learning_rate": 0.01, "average_weights": 0.8, **options})
    with precision(settings.mixed_precision):
        model = Regression()
    history = fit(model, Points(36, seed, True), Points(12, seed, False), settings, folder, seed)
    return model, history


def weights(model: Any) -> list[Any]:
    """Return copies of all the model's variables."""
    return [variable.numpy().copy() for variable in model.variables]


class SlowPoints(Points):
    """Leaves time to be killed in."""

    def batch(self, epoch: int, index: int) -> Any:
        time.sleep(0.05)
        return super().batch(epoch, index)


if __name__ == "__main__":
    if "slow" in sys.argv:
        Points = SlowPoints  # type: ignore[misc]
    trained, _ = train(Path(sys.argv[1]), **PLATEAU)
    np.savez(sys.argv[2], *weights(trained))
