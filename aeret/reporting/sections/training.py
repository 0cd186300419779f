"""Build the section of training curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aeret.reporting.inputs import Training
from aeret.reporting.plots.training import quantities, training_curves
from aeret.reporting.report import Column, Figure, Section, slug

_TITLES = {"train-ae": "The mask autoencoder (train-ae)", "train-cnn": "The joint CNN (train-cnn)"}

_BATCHED = (
    " The latent loss has a contrastive term, which tells each code from the others of its batch and so depends on how "
    "many there are: the last validation batch is smaller than a training batch, and the training curve is of "
    "augmented photos. Train and validation curves of the latent loss, and of the loss it is part of, cannot be "
    "compared with each other, nor with a run of another batch size."
)


def training_section(trainings: tuple[Training, ...], settings: Mapping[str, Any]) -> Section:
    """Return the curves of each training, given the settings of the whole run."""
    return Section("training", "Training", [_figure(training, settings) for training in trainings])


def _figure(training: Training, settings: Mapping[str, Any]) -> Figure:
    history, name = training.history, slug(training.stage)
    shown = [column for each in quantities(history) for column in (each, f"val_{each}") if column in history]
    validated = training.monitor.startswith("val_")
    epochs = "one epoch" if len(history) == 1 else f"{len(history)} epochs"
    caption = (
        f"{epochs}; the weights kept are those of the epoch with the lowest {_spoken(training.monitor)}, marked. "
        + ("Validation photos are held out of train" if validated else "No photos were held out to choose by")
        + "; queries never choose anything."
    )
    cnn = settings.get("cnn", {})
    contrastive = cnn.get("latent_loss") == "contrastive" or cnn.get("contrastive_weight", 0) > 0
    if contrastive and any("latent_loss" in column for column in shown):
        caption += _BATCHED
    if "epoch" not in history:
        history = history.assign(epoch=range(1, len(history) + 1))
    svg = training_curves(history, name, training.monitor)
    figure = Figure(f"curves-{name}", _TITLES.get(training.stage, training.stage), svg, caption)
    columns = (Column("epoch", "epoch", "count"), *(Column(key, _spoken(key), "number") for key in shown))
    return figure.with_numbers(columns, history)


def _spoken(quantity: str) -> str:
    return quantity.replace("val_", "validation ", 1).replace("_", " ")
