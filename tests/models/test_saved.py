"""A saved encoder is the encoder that was saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from aeret.data.masks import MaskPlanes
from aeret.errors import DataError, UsageError
from aeret.models.autoencoder import build_autoencoder
from aeret.models.latents import NORMALISATIONS, fit_normaliser
from aeret.models.principal import principal_components
from aeret.models.saved import RECORD, MaskCategory, SavedEncoder
from aeret.models.variables import WEIGHTS
from aeret.settings import AutoencoderSettings

CATEGORIES = (MaskCategory("dog", "animal"), MaskCategory("car", "vehicle"), MaskCategory("cat", "animal"))


def planes_of(dense: np.ndarray) -> MaskPlanes:
    """Pack uint8 (n, s, s, c) masks."""
    count, size, _, categories = dense.shape
    photo, category = np.nonzero(dense.any(axis=(1, 2)))
    bits = np.packbits(dense[photo, :, :, category].reshape(len(photo), -1), axis=1)
    offsets = np.searchsorted(photo, np.arange(count + 1)).astype(np.int64)
    return MaskPlanes(size, categories, offsets, category.astype(np.int16), bits)


def scenes(count: int = 20, size: int = 8) -> np.ndarray:
    return (np.random.default_rng(0).random((count, size, size, 3)) < 0.2).astype(np.uint8)


def made(normalisation: str = "zscore", **changes: Any) -> SavedEncoder:
    settings = AutoencoderSettings(**{"latent_size": 5, "width": 4, "mask_encoding": "supercategory", **changes})
    model = build_autoencoder(settings, 8, 2, seed=3)
    dense = scenes()
    plain = SavedEncoder.of(model, 8, CATEGORIES)
    channels = plain.encoding.encode(dense)
    model.start_from(principal_components(channels.reshape(len(channels), -1), 5, seed=0))
    normaliser = fit_normaliser(normalisation, plain.encode_masks(dense))
    return SavedEncoder.of(model, 8, CATEGORIES, normaliser)


@pytest.mark.parametrize(
    "changes", [{}, {"architecture": "dense", "tied": True}, {"corruption": "blocks", "principal": False}], ids=str
)
def test_loaded_is_saved(tmp_path: Path, changes: dict[str, Any]) -> None:
    encoder = made("whiten", **changes)
    encoder.save(tmp_path / "encoder")
    loaded = SavedEncoder.load(tmp_path / "encoder")
    assert loaded.categories == encoder.categories
    assert loaded.latent_size == 5
    assert loaded.encoding.names == ("animal", "vehicle")
    codes = encoder.encode_masks(scenes())
    np.testing.assert_array_equal(loaded.encode_masks(scenes()), codes)
    np.testing.assert_array_equal(loaded.decode(codes), encoder.decode(codes))


def test_codes_of_stored_masks_are_those_of_dense_ones() -> None:
    encoder, dense = made(), scenes()
    rows = np.array([7, 3, 3, 19])
    codes = encoder.encode(planes_of(dense), rows, batch_size=3)
    assert codes.dtype == np.float32
    np.testing.assert_allclose(codes, encoder.encode_masks(dense[rows]), atol=1e-5)
    assert encoder.encode(planes_of(dense), []).shape == (0, 5)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_decoding_undoes_the_normalisation(name: str) -> None:
    encoder = made(name)
    channels = encoder.encoding.encode(scenes())
    expected = encoder.model.activate(encoder.model(channels)["output"])
    decoded = encoder.decode(encoder.encode_masks(scenes()), batch_size=7)
    assert decoded.shape == channels.shape
    if name != "l2":  # which forgets how long a code was
        np.testing.assert_allclose(decoded, keras.ops.convert_to_numpy(expected), atol=1e-3)


def test_training_codes_are_normal() -> None:
    codes = made("zscore").encode_masks(scenes())
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(codes.std(axis=0), 1, atol=1e-4)


def test_masks_that_do_not_fit_are_refused() -> None:
    encoder = made()
    with pytest.raises(UsageError, match="8 x 8 cells and 3 categories, got 16 x 16 and 3"):
        encoder.encode(planes_of(scenes(2, 16)), [0])
    with pytest.raises(UsageError, match=r"\(b, 8, 8, 3\)"):
        encoder.encode_masks(np.zeros((1, 8, 8, 2), np.uint8))
    with pytest.raises(UsageError, match=r"\(n, 5\)"):
        encoder.decode(np.zeros((1, 4), np.float32))


def test_damaged_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"encoder\.json: is missing"):
        SavedEncoder.load(tmp_path)
    made().save(tmp_path)
    record = json.loads((tmp_path / RECORD).read_text())

    def load_with(**changes: Any) -> None:
        (tmp_path / RECORD).write_text(json.dumps({**record, **changes}))
        SavedEncoder.load(tmp_path)

    with pytest.raises(DataError, match="version 99"):
        load_with(version=99)
    with pytest.raises(DataError, match="no mask encoder"):
        load_with(settings={"latent_sizes": 5})
    with pytest.raises(DataError, match="no mask encoder"):
        load_with(settings={**record["settings"], "architecture": "rnn"})
    with pytest.raises(DataError, match="describes no autoencoder"):
        load_with(settings={**record["settings"], "output": "identity", "loss": "bce"})
    with pytest.raises(DataError, match="do not fit the network"):
        load_with(settings={**record["settings"], "width": 8})
    (tmp_path / WEIGHTS).write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DataError, match="no mask encoder"):
        load_with()
