"""Training curves of every network that was trained."""

from __future__ import annotations

from aeret.reporting.material import Training
from aeret.reporting.plots.training import quantities, training_curves
from aeret.reporting.values import Column, Figure, Section, slug, with_data

_TITLES = {"train-ae": "The mask autoencoder (train-ae)", "train-cnn": "The joint CNN (train-cnn)"}


def training_section(trainings: tuple[Training, ...]) -> Section:
    """Return the curves of each training."""
    return Section("training", "Training", tuple(_figure(training) for training in trainings))


def _figure(training: Training) -> Figure:
    history, name = training.history, slug(training.stage)
    drawn = quantities(history)
    shown = [column for quantity in drawn for column in (quantity, f"val_{quantity}") if column in history]
    epochs = "one epoch" if len(history) == 1 else f"{len(history)} epochs"
    caption = (
        f"{epochs}; the weights kept are those of the epoch with the lowest {_spoken(training.monitor)}, "
        "marked. Validation photos are held out of train; queries never choose anything."
    )
    title = _TITLES.get(training.stage, training.stage)
    figure = Figure(f"curves-{name}", title, training_curves(history, name, training.monitor), caption)
    columns = (Column("epoch", "epoch", "count"), *(Column(key, _spoken(key), "number") for key in shown))
    epoch = history["epoch"] if "epoch" in history else range(1, len(history) + 1)
    rows = zip(epoch, *(history[key] for key in shown), strict=True)
    return with_data(figure, columns, rows)


def _spoken(quantity: str) -> str:
    return quantity.replace("val_", "validation ", 1).replace("_", " ")
