"""One short joint training on whatever backend KERAS_BACKEND names; a program that prints what it found as JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from aeret.data.masks import MaskPlanes
from aeret.data.transforms import crop_flip_photos
from aeret.models.joint import JointModel, code_target
from aeret.models.latents import identity
from aeret.models.saved_joint import SavedJoint
from aeret.settings import CnnSettings, TrainingSettings
from aeret.training import JointFeed, fit, precision

SIDE, COUNT, CATEGORIES = 16, 48, 3


class Squares:
    """Photos of one coloured square each: its colour is the label, its place the layout."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        dense = np.zeros((COUNT, SIDE, SIDE, CATEGORIES), np.uint8)
        self.labels = np.eye(CATEGORIES, dtype=bool)[rng.integers(0, CATEGORIES, COUNT)]
        for mask, label in zip(dense, self.labels, strict=True):
            y, x = rng.integers(0, SIDE - 6, 2)
            mask[y : y + 6, x : x + 6, label.argmax()] = 1
        self.photos = dense * 200 + rng.integers(0, 50, dense.shape).astype(np.uint8)
        planes = dense[np.arange(COUNT), :, :, self.labels.argmax(1)]
        self.masks = MaskPlanes(
            SIDE,
            CATEGORIES,
            np.arange(COUNT + 1, dtype=np.int64),
            self.labels.argmax(1).astype(np.int16),
            np.packbits(planes.reshape(COUNT, -1), axis=1),
        )

    def crops(self, *where: Any) -> Any:
        return crop_flip_photos(self.photos, *where)


class Identity:
    def encode(self, dense: Any) -> Any:
        return dense

    def unite(self, planes: Any) -> Any:
        return planes


class Killed(Exception):
    pass


def feeds(killed_at: int | None = None) -> tuple[JointFeed, JointFeed]:
    train = JointFeed(Squares(0), SIDE, 16, 0, True, Identity(), flip=True, crop=0.8, colour=0.1)
    batch = train.batch

    def stop(epoch: int, index: int) -> Any:
        if epoch == killed_at:
            raise Killed
        return batch(epoch, index)

    train.batch = stop
    return train, JointFeed(Squares(1), SIDE, 16, 0, False, Identity())


def run(folder: Path, killed_at: int | None = None) -> tuple[JointModel, Any]:
    training = TrainingSettings(
        epochs=4, learning_rate=5e-3, average_weights=0.5, clip_norm=5.0, l2=1e-5, mixed_precision="bfloat16"
    )
    settings = CnnSettings(
        backbone="resnet18-small",
        input_size=SIDE,
        pooling="gem",
        embedding_size=8,
        dropout=0.2,
        latent_loss="contrastive",
        training=training,
    )
    encoder = keras.Sequential([keras.Input((SIDE, SIDE, CATEGORIES)), keras.layers.AveragePooling2D(4)])
    encoder.add(keras.layers.Flatten())
    with precision(training.mixed_precision):
        model = JointModel(settings, CATEGORIES, 48, 0, code_target(encoder, identity(48)))
    train, validation = feeds(killed_at)
    return model, fit(model, train, validation, training, folder, 0)


def main(folder: Path) -> dict[str, Any]:
    model, history = run(folder / "unbroken")
    with contextlib.suppress(Killed):
        run(folder / "broken", killed_at=2)
    resumed, _ = run(folder / "broken")
    SavedJoint.save(folder / "saved", model, "abc", 48)
    predicted = SavedJoint.load(folder / "saved").predict(Squares(1).photos)
    return {
        "backend": keras.backend.backend(),
        "loss": history.column("loss"),
        "val_loss": history.column("val_loss"),
        "resumed_exactly": all(
            np.array_equal(one.numpy(), two.numpy())
            for one, two in zip(model.variables, resumed.variables, strict=True)
        ),
        "predicted": {name: list(value.shape) for name, value in predicted.items()},
        "finite": all(bool(np.isfinite(value).all()) for value in predicted.values()),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))) + "\n")
