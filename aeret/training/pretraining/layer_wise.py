"""Pretrain a backbone block by block, from the bottom up."""

from __future__ import annotations

from pathlib import Path

from aeret.artifacts import digest
from aeret.models.backbones import BACKBONES
from aeret.models.block_autoencoder import BlockAutoencoder
from aeret.models.blocks import blocks
from aeret.models.weights import layers_of
from aeret.progress import Progress, silent
from aeret.registry import lookup
from aeret.settings import CnnSettings
from aeret.training import checkpoint
from aeret.training.feeds import Feed
from aeret.training.fit import FitOptions, fit
from aeret.training.precision import precision
from aeret.training.pretraining.pretrained import Pretrained


def pretrain_layer_wise(
    settings: CnnSettings,
    train: Feed,
    validation: Feed | None,
    folder: Path,
    seed: int,
    progress: Progress = silent,
) -> Pretrained:
    """Train each block of a backbone as an autoencoder of its own input, the blocks below frozen.

    Args:
        settings: backbone, epochs a block, corruption; the rest as ``settings.training``, without its penalties and
            averages.
        train: photos; their targets are not looked at.
        validation: chooses the epoch of each block, where there is one.
        folder: where the run keeps its state: ``checkpoint.npz`` after each block, and a folder a block with its
            history. A killed run continues in the epoch it was killed in.
        seed: the run's seed.
        progress: shows one bar an epoch.

    Returns:
        The weights; the metrics hold the share of variance each block leaves of its input.
    """
    training = settings.training.model_copy(
        update={
            "epochs": settings.pretraining_epochs,
            "l1": 0.0,
            "l2": 0.0,
            "average_weights": 0.0,
            "early_stop_patience": 0,
        }
    )
    with precision(training.mixed_precision):
        backbone = lookup(BACKBONES, settings.backbone, "backbone").build(settings.input_size, seed)
    names = [layer.name for layer in backbone.layers if layer.weights]
    chain = blocks(backbone)
    variables = list(backbone.weights)
    fingerprint = digest(
        [settings.backbone, settings.input_size, settings.pretraining_corruption, training.model_dump(), seed]
    )
    position = checkpoint.load(folder, fingerprint, variables)
    for number, block in enumerate(chain, start=1):
        place = folder / f"{number:02d}-{block.name}"
        if number > position.epoch:
            with precision(training.mixed_precision):
                model = BlockAutoencoder(backbone, block, settings.pretraining_corruption, seed)
            options = FitOptions(progress, f"pretrain block {number}/{len(chain)}")
            history = fit(model, train, validation, training, place, seed, options)
            position.epoch = number
            position.rows.append({"left": history.best, "seconds": history.seconds})
            checkpoint.save(folder, fingerprint, variables, position)
        checkpoint.clear(place)
    left = {block.name: row["left"] for block, row in zip(chain, position.rows, strict=True)}
    seconds = round(sum(row["seconds"] for row in position.rows), 1)
    return Pretrained(layers_of(backbone, names), {"pretraining_left": left, "pretraining_seconds": seconds})
