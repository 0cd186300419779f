"""Pretrain a backbone as the discriminator of a GAN."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aeret.models.backbones import BACKBONES
from aeret.models.gan import Gan
from aeret.models.weights import layers_of
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.settings import CnnSettings
from aeret.training.feeds import Feed
from aeret.training.fit import LAST, FitOptions, fit
from aeret.training.precision import precision
from aeret.training.pretraining.pretrained import Pretrained

SAMPLES = "generated.npy"
PAPER: dict[str, Any] = {
    "optimizer": "adam",
    "learning_rate": 2e-4,
    "momentum": 0.5,
    "schedule": "constant",
    "warmup_epochs": 0.0,
}
"""How DCGAN was trained."""
_PLAIN: dict[str, Any] = {"weight_decay": 0.0, "l1": 0.0, "l2": 0.0, "clip_norm": 0.0, "average_weights": 0.0}


def pretrain_gan(
    settings: CnnSettings,
    train: Feed,
    validation: Feed | None,
    folder: Path,
    seed: int,
    progress: Progress = silent,
) -> Pretrained:
    """Train a DCGAN whose discriminator is the backbone; the last epoch is kept, for no loss says which is best.

    The passes over real and generated photos run side by side, and TensorFlow adds up in the order they finish: two
    runs with one seed are equal but for rounding, which grows with the epochs. All other trainings are bit for bit.

    Args:
        settings: backbone and epochs; batch size and precision of ``settings.training``; the rest is :data:`PAPER`.
        train: photos; their targets are not looked at.
        validation: not used.
        folder: where the run keeps its state and ``history.csv``, and ``generated.npy`` at the end: uint8
            (16, S, S, 3), photos of the generator. A killed run continues in the epoch it was killed in.
        seed: the run's seed.
        progress: shows one bar an epoch.

    Returns:
        The discriminator's weights; the metrics hold the losses of the last epoch.
    """
    training = settings.training.model_copy(
        update=PAPER | _PLAIN | {"epochs": settings.pretraining_epochs, "early_stop_patience": 0}
    )
    with precision(training.mixed_precision):
        backbone = lookup(BACKBONES, settings.backbone, "backbone").build(settings.input_size, seed)
        names = [layer.name for layer in backbone.layers if layer.weights]
        model = Gan(backbone, seed)
    history = fit(model, train, None, training, folder, seed, FitOptions(progress, "pretrain GAN", monitor=LAST))
    np.save(folder / SAMPLES, model.samples(16))
    last = history.rows[-1]
    metrics = {f"pretraining_{name}": last[name] for name in ("discriminator_loss", "generator_loss", "accuracy")}
    return Pretrained(layers_of(backbone, names), metrics | {"pretraining_seconds": round(history.seconds, 1)})
