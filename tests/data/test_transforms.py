"""Crops and flips against Pillow, against matrices written out, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from aeret.data.masks import MaskPlanes
from aeret.data.transforms import colour_factors, crop_flip_masks, crop_flip_photos, random_boxes, whole_boxes
from aeret.errors import UsageError
from aeret.rng import generator


def planes_of(dense: np.ndarray) -> MaskPlanes:
    """Pack bool (n, size, size, categories), leaving empty planes out."""
    photos, size, _, categories = dense.shape
    found = [(n, c) for n in range(photos) for c in range(categories) if dense[n, :, :, c].any()]
    counts = np.bincount([n for n, _ in found], minlength=photos)
    return MaskPlanes(
        size=size,
        categories=categories,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        category=np.array([c for _, c in found], np.int16),
        bits=np.stack([np.packbits(dense[n, :, :, c]) for n, c in found]),
    )


def area_matrix(low: float, high: float, size: int, side: int) -> np.ndarray:
    """(size, side): share of result cell i that stored cell k covers, by cutting everything into 1/840 slivers."""
    fine = 840
    edges = low * side + (np.arange(size * fine) + 0.5) / (size * fine) * (high - low) * side
    matrix = np.zeros((size, side))
    np.add.at(matrix, (np.repeat(np.arange(size), fine), edges.astype(int)), 1 / fine)
    return matrix


@pytest.fixture
def random_planes() -> tuple[np.ndarray, MaskPlanes]:
    dense = generator(0, "masks").random((5, 32, 32, 4)) < 0.4
    dense[1] = False  # a photo without any plane
    dense[3, :, :, 2] = False
    return dense, planes_of(dense)


def test_whole_box_returns_masks_exactly(random_planes: tuple[np.ndarray, MaskPlanes]) -> None:
    dense, planes = random_planes
    rows = np.array([4, 1, 0, 0, 3])
    result = crop_flip_masks(planes, rows, whole_boxes(5), np.zeros(5, bool), 32)
    np.testing.assert_array_equal(result, dense[rows].astype(np.float32))


@pytest.mark.parametrize("size", [32, 24, 7, 48])
def test_mask_crop_is_the_exact_area(random_planes: tuple[np.ndarray, MaskPlanes], size: int) -> None:
    dense, planes = random_planes
    boxes = random_boxes(generator(1, "boxes"), 5, 0.4)
    flips = np.array([True, False, False, True, True])
    result = crop_flip_masks(planes, np.arange(5), boxes, flips, size)
    for n, (y0, x0, y1, x1) in enumerate(boxes.astype(float)):
        rows, columns = area_matrix(y0, y1, size, 32), area_matrix(x0, x1, size, 32)
        expected = np.einsum("ik,klc,jl->ijc", rows, dense[n].astype(float), columns)
        expected = expected[:, ::-1] if flips[n] else expected
        np.testing.assert_allclose(result[n], expected, atol=5e-3)


@pytest.mark.parametrize("cells", [[(0, 0)], [(12, 12)], [(3, 7), (4, 2)], [(0, 12), (12, 0)], []])
def test_lone_cells_of_a_mask_whose_rows_are_no_whole_bytes(cells: list[tuple[int, int]]) -> None:
    dense = np.zeros((1, 13, 13, 2), bool)
    dense[..., 1] = True
    for y, x in cells:
        dense[0, y, x, 0] = True
    planes, no = planes_of(dense), np.zeros(1, bool)
    np.testing.assert_array_equal(crop_flip_masks(planes, np.array([0]), whole_boxes(1), no, 13), dense)
    rows = area_matrix(0, 1, 5, 13)
    expected = np.einsum("ik,klc,jl->ijc", rows, dense[0].astype(float), rows)[:, ::-1]
    np.testing.assert_allclose(crop_flip_masks(planes, np.array([0]), whole_boxes(1), ~no, 5)[0], expected, atol=5e-3)


def test_mask_area_is_conserved(random_planes: tuple[np.ndarray, MaskPlanes]) -> None:
    dense, planes = random_planes
    box = np.array([[8, 4, 24, 28]], np.float32) / 32  # whole cells, so the area inside is a count
    inside = dense[0, 8:24, 4:28].sum(axis=(0, 1))
    result = crop_flip_masks(planes, np.array([0]), box, np.array([True]), 10)
    np.testing.assert_allclose(result[0].sum(axis=(0, 1)) * (16 * 24) / 100, inside, rtol=1e-5)
    assert result.min() >= 0 and result.max() <= 1


def test_mask_buffer_is_reused_and_cleared(random_planes: tuple[np.ndarray, MaskPlanes]) -> None:
    _, planes = random_planes
    out = np.full((1, 8, 8, 4), 9, np.float32)
    result = crop_flip_masks(planes, np.array([1]), whole_boxes(1), np.zeros(1, bool), 8, out)
    assert result is out
    assert not out.any()


def test_whole_masks_are_the_same_as_bytes(random_planes: tuple[np.ndarray, MaskPlanes]) -> None:
    _, planes = random_planes
    rows, flips = np.array([1, 0, 3, 1]), np.array([True, False, True, False])
    shares = crop_flip_masks(planes, rows, whole_boxes(4), flips, planes.size)
    out = np.full(shares.shape, 9, np.uint8)
    assert crop_flip_masks(planes, rows, whole_boxes(4), flips, planes.size, out) is out
    np.testing.assert_array_equal(out, shares)


@pytest.mark.parametrize(("size", "box"), [(None, [0, 0, 1, 0.5]), (5, [0, 0, 1, 1])])
def test_bytes_hold_no_shares_of_cells(
    random_planes: tuple[np.ndarray, MaskPlanes], size: int | None, box: list
) -> None:
    _, planes = random_planes
    size = size or planes.size
    out = np.zeros((1, size, size, planes.categories), np.uint8)
    with pytest.raises(UsageError, match="holds no shares"):
        crop_flip_masks(planes, np.array([0]), np.array([box], np.float32), np.zeros(1, bool), size, out)


@pytest.mark.parametrize(("side", "size"), [(112, 96), (96, 96), (64, 96), (112, 28), (300, 41)])
def test_photo_crop_equals_pillow(side: int, size: int) -> None:
    photos = generator(0, "photos", side).integers(0, 256, (6, side, side, 3), np.uint8)
    boxes = random_boxes(generator(2, "boxes"), 6, 0.3)
    flips = np.arange(6) % 2 == 0
    rows = np.array([3, 0, 5, 3, 1, 2])
    result = crop_flip_photos(photos, rows, boxes, flips, size)
    assert result.dtype == np.uint8
    for n, (y0, x0, y1, x1) in enumerate(boxes.astype(float) * side):
        expected = Image.fromarray(photos[rows[n]]).resize(
            (size, size), Image.Resampling.BILINEAR, box=(x0, y0, x1, y1)
        )
        pixels = np.asarray(expected, np.float32)
        # Pillow rounds to whole levels after each of its two passes, we once.
        np.testing.assert_allclose(result[n], pixels[:, ::-1] if flips[n] else pixels, atol=1)


def test_whole_box_returns_photos_exactly() -> None:
    photos = generator(3, "photos").integers(0, 256, (2, 40, 40, 3), np.uint8)
    result = crop_flip_photos(photos, np.arange(2), whole_boxes(2), np.array([False, True]), 40)
    np.testing.assert_array_equal(result[0], photos[0])
    np.testing.assert_array_equal(result[1], photos[1, :, ::-1])


def test_photo_and_mask_stay_aligned() -> None:
    """The same drawn squares, cropped as photo and as mask, are within one cell of each other."""
    count, side, cells = 32, 112, 32
    rng = generator(4, "squares")
    photos = np.zeros((count, side, side, 3), np.uint8)
    dense = np.zeros((count, cells, cells, 1), bool)
    for n in range(count):
        y, x = rng.integers(0, 20, 2)
        height, width = rng.integers(6, 12, 2)
        dense[n, y : y + height, x : x + width] = True
        scale = side / cells  # 3.5: photo edges fall inside pixels
        photos[n, round(y * scale) : round((y + height) * scale), round(x * scale) : round((x + width) * scale)] = 255
    boxes, flips = random_boxes(rng, count, 0.6), rng.random(count) < 0.5
    photo = crop_flip_photos(photos, np.arange(count), boxes, flips, 96)[..., 0] / 255
    mask = crop_flip_masks(planes_of(dense), np.arange(count), boxes, flips, 32)[..., 0]
    compared = 0
    for n in range(count):
        if (mask[n] >= 0.5).any() and (photo[n] >= 0.5).any():
            np.testing.assert_allclose(edges(photo[n]) * 32, edges(mask[n]) * 32, atol=1.0)
            compared += 1
    assert compared > count // 2
    # and the test above can fail: with the flips of the mask forgotten, the boxes part
    wrong = crop_flip_masks(planes_of(dense), np.arange(count), boxes, ~flips, 32)[..., 0]
    assert any(abs(edges(photo[n]) - edges(wrong[n])).max() * 32 > 2 for n in range(count) if (wrong[n] >= 0.5).any())


def edges(picture: np.ndarray) -> np.ndarray:
    """First and last row and column of what is bright, as shares of the side."""
    rows, columns = np.flatnonzero((picture >= 0.5).any(axis=1)), np.flatnonzero((picture >= 0.5).any(axis=0))
    return np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1]) / len(picture)


def test_random_boxes_are_inside_and_uniform() -> None:
    boxes = random_boxes(generator(5, "boxes"), 20_000, 0.7)
    assert boxes.dtype == np.float32
    assert boxes.min() >= 0 and boxes.max() <= 1
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.min() >= 0.7 - 1e-6
    np.testing.assert_allclose(sides.mean(axis=0), 0.85, atol=0.005)
    np.testing.assert_array_equal(random_boxes(generator(5, "boxes"), 20_000, 0.7), boxes)
    np.testing.assert_array_equal(random_boxes(generator(5, "boxes"), 3, 1.0), whole_boxes(3))


def coloured(photos: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Brightness, contrast, saturation, one after the other as they are defined, in float64, rounded half up."""
    brightness, contrast, saturation = (factors[:, k, None, None, None].astype(float) for k in range(3))
    grey = np.array([0.299, 0.587, 0.114])
    values = brightness * photos
    mean = (values @ grey).mean((1, 2))[:, None, None, None]
    values = contrast * (values - mean) + mean
    own = (values @ grey)[..., None]
    return np.floor(np.clip(saturation * (values - own) + own, 0, 255) + 0.5)


def unmoved(photos: np.ndarray, factors: np.ndarray) -> np.ndarray:
    count = len(photos)
    return crop_flip_photos(
        photos, np.arange(count), whole_boxes(count), np.zeros(count, bool), photos.shape[1], factors
    )


def test_colours_by_hand() -> None:
    """Factors 1.2, 0.8, 1.4 on two grey and two red pixels, worked by hand."""
    photos = np.array([[[[100, 100, 100], [200, 0, 0]]] * 2], np.uint8).reshape(1, 2, 2, 3)
    result = unmoved(photos, np.array([[1.2, 0.8, 1.4]], np.float32))
    # brightness: 120 120 120 | 240 0 0; grey 120 and 71.76, mean 95.88
    # contrast: 0.8 (v - 95.88) + 95.88 = 115.176 | 211.176 19.176 19.176
    # saturation: grey 115.176 | 76.584; g + 1.4 (v - g) = 115.176 | 265.0128 -> 255, -3.7872 -> 0
    np.testing.assert_array_equal(result[0, 0], [[115] * 3, [255, 0, 0]])
    np.testing.assert_array_equal(result[0, 1], result[0, 0])


def test_colours_equal_their_definition_after_crops_and_flips() -> None:
    photos = generator(6, "photos").integers(0, 256, (20, 24, 24, 3), np.uint8)
    factors = colour_factors(generator(6, "colour"), 20, 0.5)
    expected = coloured(photos, factors)
    result = unmoved(photos, factors)
    # Single precision may fall on the other side of a half, rarely.
    assert abs(result - expected).max() <= 1
    assert (result == expected).mean() > 0.999
    boxes, flips = random_boxes(generator(6, "boxes"), 20, 0.5), np.arange(20) % 3 == 0
    moved = [crop_flip_photos(photos, np.arange(20), boxes, flips, 32, each) for each in (None, factors)]
    # The reference starts from a crop that is rounded already: half a level, times what the factors make of it.
    assert abs(moved[1] - coloured(moved[0], factors)).max() <= 3
    assert abs(moved[1].astype(float) - moved[0]).mean() > 5


def test_one_rounding_to_the_nearest_level_halves_up() -> None:
    photos = np.full((3, 4, 4, 3), 5, np.uint8)
    factors = np.array([[0.5, 1, 1], [0.49, 1, 1], [60, 1, 1]], np.float32)  # 2.5, 2.45 and 300
    assert unmoved(photos, factors)[:, 0, 0, 0].tolist() == [3, 2, 255]


def test_colour_factors() -> None:
    factors = colour_factors(generator(7, "colour"), 5_000, 0.3)
    assert factors.dtype == np.float32
    assert factors.min() >= 0.7 - 1e-6 and factors.max() <= 1.3 + 1e-6
    np.testing.assert_allclose(factors.mean(axis=0), 1, atol=0.01)
    np.testing.assert_allclose(factors.std(axis=0), 0.6 / 12**0.5, rtol=0.05)
    np.testing.assert_array_equal(colour_factors(generator(7, "colour"), 5_000, 0.3), factors)
    one, other = generator(7, "colour"), generator(7, "colour")
    np.testing.assert_array_equal(colour_factors(one, 4, 0.0), np.ones((4, 3)))
    colour_factors(other, 4, 0.3)
    assert one.random() == other.random()  # the strength does not shift later draws


def test_wrong_arguments_are_refused(random_planes: tuple[np.ndarray, MaskPlanes]) -> None:
    photos = np.zeros((2, 8, 8, 3), np.uint8)
    flips = np.zeros(2, bool)
    backwards = np.array([[0.5, 0, 0.2, 1]] * 2, np.float32)
    two = np.arange(2)
    with pytest.raises(UsageError, match="start < end"):
        crop_flip_photos(photos, two, backwards, flips, 4)
    with pytest.raises(UsageError, match="start < end"):
        crop_flip_photos(photos, two, np.full((2, 4), np.nan, np.float32), flips, 4)
    with pytest.raises(UsageError, match="float64"):
        crop_flip_photos(photos.astype(float), two, whole_boxes(2), flips, 4)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"boxes \(2, 4\)"):
        crop_flip_photos(photos, two, whole_boxes(3), flips, 4)
    with pytest.raises(UsageError, match=r"0\.\.1"):
        crop_flip_photos(photos, np.array([0, 2]), whole_boxes(2), flips, 4)
    with pytest.raises(UsageError, match=r"factors \(2, 3\)"):
        crop_flip_photos(photos, two, whole_boxes(2), flips, 4, np.ones((2, 2), np.float32))
    with pytest.raises(UsageError, match=r"0\.\.4"):
        crop_flip_masks(random_planes[1], np.array([0, 5]), whole_boxes(2), flips, 4)
    with pytest.raises(UsageError, match="smallest"):
        random_boxes(generator(0, "boxes"), 1, 0.0)
    with pytest.raises(UsageError, match="strength"):
        colour_factors(generator(0), 1, 1.5)
    with pytest.raises(UsageError, match="out"):
        crop_flip_masks(random_planes[1], two, whole_boxes(2), flips, 4, np.zeros((2, 4, 4, 4), np.float64))  # type: ignore[arg-type]
