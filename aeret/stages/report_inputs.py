"""Collect from a run's artifacts what its report shows besides the evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aeret.data.encodings import MaskEncoding
    from aeret.evaluation.query_by_layout import LayoutCodes
    from aeret.reporting.inputs import Autoencoder, Layouts, ReportInputs, Training
    from aeret.settings import Settings
    from aeret.stages.embedded import Embedded


def report_inputs(settings: Settings, photos: Embedded, codes: LayoutCodes, started: str) -> ReportInputs:
    """Collect photos, layouts, trainings, records and settings of a run.

    Args:
        settings: of the run.
        photos: its query and gallery photos.
        codes: mask codes of the query photos.
        started: ISO time at which the evaluation started.
    """
    from aeret.artifacts import read_record
    from aeret.data.encodings import mask_encoding
    from aeret.reporting.inputs import ReportInputs

    network = settings.embed.features == "cnn"
    made_with = f"{settings.cnn.arm}, {settings.cnn.backbone}" if network else f"{settings.embed.features}, no network"
    records = {stage: read_record(folder) for stage, folder in photos.inputs.items()}
    maps = _Maps(mask_encoding(settings.autoencoder.mask_encoding, photos.prepared.categories))
    return ReportInputs(
        categories=photos.categories,
        queries=photos.queries,
        gallery=photos.gallery,
        layouts=_layouts(settings, photos, codes, maps),
        autoencoder=_autoencoder(photos.inputs["train-ae"], records["train-ae"].metrics, maps),
        trainings=_trainings(photos.inputs),
        records=records,
        # The settings of a network decide nothing in a run without one.
        settings=settings.model_dump(mode="json", exclude=None if network else {"cnn"}),
        title=f"{Path(settings.data.manifest).stem}: {made_with}",
        date=started,
        examples=settings.evaluation.examples,
        warnings=tuple(photos.warnings()),
    )


class _Maps:
    """Show channels of a mask encoding as maps: probabilities, or 0 and 1."""

    def __init__(self, encoding: MaskEncoding) -> None:
        self.encoding, self._with_anything = encoding, encoding.name == "supercategory+binary"
        self.legend: tuple[str, ...] = encoding.legend[:-1] if self._with_anything else encoding.legend

    def __call__(self, channels: Any) -> Any:
        import numpy as np

        if self._with_anything:
            return spread_anything(channels)
        return self.encoding.presence(channels).astype(np.float32) if self.encoding.name == "index" else channels


def spread_anything(channels: Any) -> Any:
    """Give the last channel, "anything", to the most probable of the others, cell by cell.

    A network is often sure that something is there before it is sure what; a map of "anything" would hide its guess.

    Args:
        channels: float32 (b, h, w, c + 1); masks of 0 and 1 stay as they are.

    Returns:
        float32 (b, h, w, c).
    """
    import numpy as np

    kinds, anything = channels[..., :-1], channels[..., -1:]
    return np.where(kinds == kinds.max(axis=-1, keepdims=True), np.maximum(kinds, anything), kinds)


def _layouts(settings: Settings, photos: Embedded, codes: LayoutCodes, maps: _Maps) -> Layouts:
    from aeret.reporting.inputs import Layouts

    @cache
    def encoder() -> Any:  # Keras is loaded when the first map is asked for
        from aeret.models.saved import SavedEncoder

        return SavedEncoder.load(photos.inputs["encode-masks"])

    # A read-out, of labels-only or of a classic feature, is a regression and so learns the length of a code.
    read_out = settings.embed.features != "cnn" or settings.cnn.arm == "labels-only"
    return Layouts(
        maps.legend,
        lambda masks: maps(maps.encoding.encode(masks)),
        codes.predicted,
        codes.own,
        lambda some: maps(encoder().decode(some)),
        length_is_learnt=read_out or settings.cnn.latent_loss in ("mse", "huber"),
    )


def _autoencoder(folder: Path, metrics: Mapping[str, Any], maps: _Maps) -> Autoencoder:
    import numpy as np

    from aeret.reporting.inputs import Autoencoder

    path = folder / "examples.npz"
    if not path.is_file():
        return Autoencoder(metrics)
    with np.load(path, allow_pickle=False) as examples:
        shown = {name: maps(examples[name].astype(np.float32)) for name in ("true", "reconstructed", "pca")}
    return Autoencoder(metrics, **shown, names=maps.legend)


def _trainings(inputs: Mapping[str, Path]) -> tuple[Training, ...]:
    import pandas as pd

    from aeret.reporting.inputs import Training

    trained = [stage for stage in ("train-ae", "train-cnn") if stage in inputs]
    paths = {stage: inputs[stage] / "training" / "history.csv" for stage in trained}
    histories = {stage: pd.read_csv(path) for stage, path in paths.items() if path.is_file()}
    # Without validation photos the training loss chooses the epoch.
    return tuple(
        Training(stage, history, "val_loss" if "val_loss" in history else "loss")
        for stage, history in histories.items()
    )
