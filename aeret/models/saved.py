"""Turn masks into normalised codes, and codes into masks, with a saved autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from aeret.data.encodings import MaskEncoding, Named, mask_encoding
from aeret.data.masks import MaskPlanes
from aeret.errors import DataError, UnknownNameError, UsageError
from aeret.models.autoencoder import MaskAutoencoder, build_autoencoder
from aeret.models.latents import Normaliser, identity
from aeret.models.variables import assign_variables, load_network, save_network
from aeret.settings import AutoencoderSettings

RECORD, NORMALISER = "encoder.json", "normaliser.npz"
VERSION = 1
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MaskCategory:
    """What the encoder keeps of a category."""

    name: str
    supercategory: str


@dataclass(frozen=True)
class SavedEncoder:
    """A trained mask autoencoder: masks to normalised codes, and codes back to masks."""

    model: MaskAutoencoder
    size: int
    """Side of the masks it reads, cells."""
    categories: tuple[MaskCategory, ...]
    """In the order of the mask planes."""
    normaliser: Normaliser

    @classmethod
    def of(
        cls, model: MaskAutoencoder, size: int, categories: Sequence[Named], normaliser: Normaliser | None = None
    ) -> SavedEncoder:
        """Wrap a trained model; codes stay as they are where there is no normaliser yet."""
        kept = tuple(MaskCategory(category.name, category.supercategory) for category in categories)
        return cls(model, size, kept, normaliser or identity(model.settings.latent_size))

    @cached_property
    def encoding(self) -> MaskEncoding:
        """How masks become the channels that the encoder reads."""
        return mask_encoding(self.model.settings.mask_encoding, self.categories)

    @property
    def latent_size(self) -> int:
        """Dimensions of the code."""
        return self.model.settings.latent_size

    @property
    def keras_encoder(self) -> Any:
        """``keras.Model``: float32 (b, size, size, channels) -> float32 (b, m), not normalised."""
        return self.model.encoder

    def encode(self, planes: MaskPlanes, rows: npt.ArrayLike, batch_size: int = 128) -> Floats:
        """Return the normalised codes of stored masks.

        Args:
            planes: masks of the encoder's size and categories.
            rows: int (n,) which of them.
            batch_size: masks at a time; does not change a result beyond rounding.

        Returns:
            float32 (n, m).

        Raises:
            UsageError: the masks have another size or number of categories.
        """
        if planes.size != self.size or planes.categories != len(self.categories):
            raise UsageError(
                f"expected masks of {self.size} x {self.size} cells and {len(self.categories)} categories, got "
                f"{planes.size} x {planes.size} and {planes.categories}; prepare them with the same settings."
            )
        chosen = np.asarray(rows, np.int64).reshape(-1)
        result = np.empty((len(chosen), self.latent_size), np.float32)
        for start in range(0, len(chosen), batch_size):
            part = chosen[start : start + batch_size]
            result[start : start + len(part)] = self._encode(self.encoding.encode(planes.dense(part)))
        return result

    def encode_masks(self, dense: npt.NDArray[np.float32] | npt.NDArray[np.uint8]) -> Floats:
        """Return the normalised codes float32 (b, m) of masks (b, size, size, categories), shares in [0, 1].

        Raises:
            UsageError: the shape does not fit.
        """
        shape = (self.size, self.size, len(self.categories))
        if dense.ndim != 4 or dense.shape[1:] != shape:
            raise UsageError(f"expected masks (b, {', '.join(map(str, shape))}), got {tuple(dense.shape)}.")
        return self._encode(self.encoding.encode(dense))

    def decode(self, codes: Floats, batch_size: int = 128) -> Floats:
        """Return what the decoder makes of normalised codes.

        Args:
            codes: float32 (n, m), of masks or predicted from photos.
            batch_size: codes at a time.

        Returns:
            float32 (n, size, size, channels), shares in [0, 1].

        Raises:
            UsageError: the codes have another size.
        """
        raw = self.normaliser.invert(codes)
        result = np.empty((len(raw), self.size, self.size, self.encoding.channels), np.float32)
        for start in range(0, len(raw), batch_size):
            output = self.model.decoder(raw[start : start + batch_size], training=False)
            result[start : start + batch_size] = keras.ops.convert_to_numpy(self.model.activate(output))
        return result

    def save(self, folder: Path) -> None:
        """Write the encoder and its normaliser; the folder is made when missing."""
        record = {
            "version": VERSION,
            "size": self.size,
            "categories": [[category.name, category.supercategory] for category in self.categories],
            "settings": self.model.settings.model_dump(mode="json"),
        }
        save_network(folder, RECORD, record, self.model)
        self.normaliser.save(folder / NORMALISER)

    @classmethod
    def load(cls, folder: Path) -> SavedEncoder:
        """Read what :meth:`save` wrote; computes in float32, whatever it was trained in.

        Raises:
            DataError: a file is missing, damaged or of another version.
        """
        stages = "`aeret stage train-ae` and `encode-masks` write"
        (version, settings, size, categories), arrays = load_network(folder, RECORD, _parse, "mask encoder", stages)
        if version != VERSION:
            raise DataError(
                f"{folder / RECORD}: has version {version}, this aeret reads {VERSION}; train the autoencoder again."
            )
        try:
            channels = mask_encoding(settings.mask_encoding, categories).channels
            model = build_autoencoder(settings, size, channels, seed=0)
        except (UsageError, UnknownNameError) as error:
            raise DataError(f"{folder / RECORD}: describes no autoencoder of this aeret ({error})") from None
        assign_variables(model, arrays, folder)
        normaliser = Normaliser.load(folder / NORMALISER)
        if normaliser.size != settings.latent_size:
            raise DataError(
                f"{folder / NORMALISER}: is for codes of {normaliser.size} dimensions, the encoder's have "
                f"{settings.latent_size}; run `aeret stage encode-masks` again."
            )
        return cls(model, size, categories, normaliser)

    def _encode(self, channels: Floats) -> Floats:
        code = keras.ops.convert_to_numpy(self.model.encoder(channels, training=False))
        return self.normaliser.apply(code)


def _parse(record: dict[str, Any]) -> tuple[int, AutoencoderSettings, int, tuple[MaskCategory, ...]]:
    categories = tuple(MaskCategory(name, group) for name, group in record["categories"])
    return record["version"], AutoencoderSettings(**record["settings"]), int(record["size"]), categories
