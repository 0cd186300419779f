"""Mask encodings against masks small enough to encode by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aeret.data.encodings import BACKGROUND, MASK_ENCODINGS, mask_encoding
from aeret.data.masks import MaskPlanes
from aeret.errors import UnknownNameError, UsageError


@dataclass(frozen=True)
class Category:
    name: str
    supercategory: str


CATEGORIES = (Category("dog", "animal"), Category("car", "vehicle"), Category("cat", "animal"))


def scene() -> np.ndarray:
    """One 2 x 3 mask: a dog over the whole top row, a car in all six cells, a cat in the top left cell."""
    masks = np.zeros((1, 2, 3, 3), np.uint8)
    masks[0, 0, :, 0] = 1
    masks[0, :, :, 1] = 1
    masks[0, 0, 0, 2] = 1
    return masks


def test_onehot_keeps_the_planes() -> None:
    encoding = mask_encoding("onehot", CATEGORIES)
    assert encoding.names == ("dog", "car", "cat")
    np.testing.assert_array_equal(encoding.encode(scene()), scene())


def test_supercategory_unites_its_categories() -> None:
    encoding = mask_encoding("supercategory", CATEGORIES)
    assert encoding.names == ("animal", "vehicle")
    shares = scene().astype(np.float32)
    shares[0, 1, 2] = [0.25, 1.0, 0.5]
    channels = encoding.encode(shares)[0]
    np.testing.assert_array_equal(channels[..., 0], [[1, 1, 1], [0, 0, 0.5]])
    np.testing.assert_array_equal(channels[..., 1], np.ones((2, 3)))


def test_binary_is_anything() -> None:
    encoding = mask_encoding("binary", CATEGORIES)
    masks = scene()
    masks[0, 1, :, 1] = 0
    np.testing.assert_array_equal(encoding.encode(masks)[0, ..., 0], [[1, 1, 1], [0, 0, 0]])


def test_supercategory_and_binary_has_the_channels_of_both() -> None:
    encoding = mask_encoding("supercategory+binary", CATEGORIES)
    assert encoding.names == encoding.legend == ("animal", "vehicle", "anything")
    shares = scene().astype(np.float32)
    shares[0, 1, :, 1] = [0, 0.25, 1]
    shares[0, 1, 1, 2] = 0.5
    channels = encoding.encode(shares)[0]
    np.testing.assert_array_equal(channels[..., 0], [[1, 1, 1], [0, 0.5, 0]])
    np.testing.assert_array_equal(channels[..., 1], [[1, 1, 1], [0, 0.25, 1]])
    np.testing.assert_array_equal(channels[..., 2], [[1, 1, 1], [0, 0.5, 1]])


def test_index_paints_the_smallest_last() -> None:
    encoding = mask_encoding("index", CATEGORIES)
    expected = np.array([[3, 1, 1], [2, 2, 2]]) / 3
    np.testing.assert_allclose(encoding.encode(scene())[0, ..., 0], expected, rtol=1e-6)


def test_index_of_nothing_is_zero() -> None:
    assert not mask_encoding("index", CATEGORIES).encode(np.zeros((2, 2, 2, 3), np.uint8)).any()


def test_index_decodes_to_the_nearest_category() -> None:
    encoding = mask_encoding("index", CATEGORIES)
    values = np.array([0.1, 0.2, 0.4, 0.9, 1.4, -0.3], np.float32).reshape(1, 2, 3, 1)
    np.testing.assert_array_equal(encoding.label_map(values)[0], [[BACKGROUND, 0, 0], [2, 2, BACKGROUND]])


def test_of_equal_areas_the_first_row_is_on_top() -> None:
    masks = np.zeros((1, 2, 2, 3), np.float32)
    masks[0, 0, :, 0] = masks[0, 0, :, 2] = 1
    np.testing.assert_array_equal(
        mask_encoding("onehot", CATEGORIES).label_map(masks)[0], [[0, 0], [BACKGROUND, BACKGROUND]]
    )


@pytest.mark.parametrize("name", MASK_ENCODINGS)
def test_every_encoding_keeps_its_contract(name: str) -> None:
    encoding = mask_encoding(name, CATEGORIES)
    channels = encoding.encode(scene())
    assert encoding.name == name
    assert channels.shape == (1, 2, 3, encoding.channels)
    assert channels.dtype == np.float32
    assert channels.min() >= 0 and channels.max() <= 1
    assert encoding.presence(channels).shape == (1, 2, 3, len(encoding.legend))
    assert encoding.label_map(channels).dtype == np.int16
    # The car covers every cell, so every encoding sees something everywhere.
    assert encoding.presence(channels).any(axis=-1).all()
    assert encoding.encode(scene()[:0]).shape == (0, 2, 3, encoding.channels)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="onehot"):
        mask_encoding("one-hot", CATEGORIES)
    with pytest.raises(UsageError, match="at least one category"):
        mask_encoding("onehot", ())
    with pytest.raises(UsageError, match=r"\(b, h, w, 3\)"):
        mask_encoding("binary", CATEGORIES).encode(np.zeros((1, 2, 2, 4), np.uint8))
    with pytest.raises(UsageError, match=r"\(b, h, w, 2\)"):
        mask_encoding("supercategory", CATEGORIES).presence(np.zeros((1, 2, 2, 3), np.float32))


class TestUnite:
    """Planes united once give what encoding the dense masks gives."""

    def planes(self, dense: np.ndarray) -> MaskPlanes:
        photo, category = np.nonzero(dense.any((1, 2)))
        offsets = np.searchsorted(photo, np.arange(len(dense) + 1)).astype(np.int64)
        bits = np.packbits(dense[photo, :, :, category].reshape(len(photo), -1), axis=1)
        return MaskPlanes(dense.shape[1], dense.shape[3], offsets, category.astype(np.int16), bits)

    @pytest.mark.parametrize("name", sorted(set(MASK_ENCODINGS) - {"index"}))
    def test_equals_encode_on_whole_cells(self, name: str) -> None:
        categories = [Category(f"c{i}", f"group {i % 3}") for i in range(7)]
        rng = np.random.default_rng(0)
        dense = (rng.random((5, 6, 6, 7)) < 0.2) & (rng.random((5, 1, 1, 7)) < 0.5)
        dense[3] = False  # a photo without any plane
        dense = dense.astype(np.uint8)
        encoding = mask_encoding(name, categories)
        united = encoding.unite(self.planes(dense))
        assert united is not None
        assert united.categories == encoding.channels
        np.testing.assert_array_equal(united.dense(np.arange(5)), encoding.encode(dense))

    def test_index_is_no_union(self) -> None:
        encoding = mask_encoding("index", [Category("a", "b")])
        assert encoding.unite(self.planes(np.ones((1, 2, 2, 1), np.uint8))) is None

    def test_other_categories(self) -> None:
        encoding = mask_encoding("binary", [Category("a", "b")])
        with pytest.raises(UsageError, match="planes of 1 categories, got 2"):
            encoding.unite(self.planes(np.ones((1, 2, 2, 2), np.uint8)))
