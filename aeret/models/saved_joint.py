"""Predict embeddings, label scores and codes of photos with a saved joint CNN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeret.data.transforms import crop_flip_photos, whole_boxes
from aeret.errors import UsageError
from aeret.models.joint import JointModel
from aeret.models.variables import assign_variables, load_network, save_network
from aeret.settings import CnnSettings

RECORD = "joint.json"
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SavedJoint:
    """A trained joint CNN, ready to predict."""

    model: JointModel
    settings: CnnSettings
    """What it was trained with; ``settings.arm`` says which heads mean anything."""
    categories: tuple[str, ...]
    """Names, in the order of the label scores."""
    latent_size: int

    @classmethod
    def save(cls, folder: Path, model: JointModel, categories: Sequence[str], latent_size: int) -> None:
        """Write a model into a folder.

        Args:
            folder: created when missing; the two files in it are replaced.
            model: a trained model.
            categories: names, in the order of the label logits.
            latent_size: dimensions of the code.
        """
        settings = model.settings.model_dump(mode="json")
        record = {"settings": settings, "categories": list(categories), "latent_size": latent_size}
        save_network(folder, RECORD, record, model)

    @classmethod
    def load(cls, folder: Path) -> SavedJoint:
        """Read what :meth:`save` wrote; computes in float32, whatever the model was trained in.

        Raises:
            DataError: a file is missing, damaged or of another version.
        """
        stages = "`aeret stage train-cnn` writes"
        (settings, categories, latent_size), arrays = load_network(folder, RECORD, _parse, "joint CNN", stages)
        model = JointModel(settings, len(categories), latent_size, seed=0)
        assign_variables(model, arrays, folder)
        return cls(model, settings, categories, latent_size)

    def predict(self, photos: npt.NDArray[np.uint8], batch_size: int = 64) -> dict[str, Floats]:
        """Predict from photos alone.

        Args:
            photos: uint8 (n, S, S, 3), RGB, any side S at or above the network's; they are resized to it.
            batch_size: photos at a time; does not change a result beyond rounding.

        Returns:
            float32 arrays: ``embedding`` (n, d), not normalised; ``label_scores`` (n, C), logits, higher is likelier;
            ``code`` (n, m), on the scale of the normalised code.

        Raises:
            UsageError: the photos have another shape or type.
        """
        photos = np.asarray(photos)
        if photos.ndim != 4 or photos.shape[1] != photos.shape[2] or photos.shape[3] != 3 or photos.dtype != np.uint8:
            raise UsageError(f"expected uint8 photos (n, S, S, 3), got {photos.dtype} {photos.shape}.")
        return self._predict(photos, batch_size)

    def _predict(self, photos: npt.NDArray[np.uint8], batch_size: int) -> dict[str, Floats]:
        size, count = self.settings.input_size, len(photos)
        result = {
            "embedding": np.empty((count, self.model.output["embedding"].shape[-1]), np.float32),
            "label_scores": np.empty((count, len(self.categories)), np.float32),
            "code": np.empty((count, self.latent_size), np.float32),
        }
        for start in range(0, count, batch_size):
            batch = photos[start : start + batch_size]
            rows, flips = np.arange(len(batch)), np.zeros(len(batch), np.bool_)
            resized = crop_flip_photos(batch, rows, whole_boxes(len(batch)), flips, size)
            outputs = self.model.predict_on_batch(resized)
            for name, output in (("embedding", "embedding"), ("label_scores", "label_logits"), ("code", "code")):
                result[name][start : start + len(batch)] = outputs[output]
        return result


def _parse(record: dict[str, Any]) -> tuple[CnnSettings, tuple[str, ...], int]:
    return CnnSettings(**record["settings"]), tuple(record["categories"]), int(record["latent_size"])
