"""Exact coverage: against areas worked by hand, an area formula, clipping by another algorithm, and pycocotools."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from aeret.data.raster import add_annotation
from aeret.rng import generator


def cover(
    parts: list[list[tuple[float, float]]], size: int, height: int = 8, width: int = 8, text: bytes = b""
) -> tuple[NDArray[np.float64], bool]:
    """Coverage (size, size) of one annotation, given as polygons or as an RLE string."""
    out, acc, steps = np.zeros((size, size)), np.zeros((size, size + 2)), np.zeros((size + 2, size))
    points = np.array([point for part in parts for point in part], np.float64).reshape(-1, 2)
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    string = np.frombuffer(text, np.uint8)
    window = np.array([size, 0, size, 0])
    one, sizes = np.zeros(1, np.int32), (np.array([height], np.int32), np.array([width], np.int32))
    runs = np.array([0, len(string)])
    columns = (np.array([2 if text else 1], np.uint8), np.array([0, len(parts)]), offsets, points, runs, string, one)
    sound = add_annotation(out, window, acc, steps, 0, (*columns, *sizes))
    assert not acc.any() and not steps.any(), "the buffers are left as zeros"
    outside = np.ones((size, size), np.bool_)
    outside[window[0] : window[1], window[2] : window[3]] = False
    assert not out[outside].any(), "the window holds what was covered"
    return out, sound


def clipped_area(points: list[tuple[float, float]], x0: float, y0: float, x1: float, y1: float) -> float:
    """Area of a polygon within a rectangle: Sutherland and Hodgman's clipping, then the shoelace formula."""
    for axis, border, sign in ((0, x0, 1), (0, x1, -1), (1, y0, 1), (1, y1, -1)):
        kept = []
        for i, point in enumerate(points):
            before = points[i - 1]
            inside, was_inside = sign * (point[axis] - border) >= 0, sign * (before[axis] - border) >= 0
            if inside != was_inside:
                t = (border - before[axis]) / (point[axis] - before[axis])
                kept.append(tuple(before[k] + t * (point[k] - before[k]) for k in (0, 1)))
            if inside:
                kept.append(point)
        points = kept
        if not points:
            return 0.0
    x, y = np.array(points).T
    return abs(np.sum(np.roll(x, 1) * y - x * np.roll(y, 1))) / 2


def star(seed: int, count: int, reach: float, middle: tuple[float, float] = (4.0, 4.0)) -> list[tuple[float, float]]:
    """A polygon that does not cross itself: any radius, at rising angles."""
    rng = generator(seed, "star")
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = rng.uniform(0.05, reach, count)
    return [(middle[0] + r * np.cos(a), middle[1] + r * np.sin(a)) for a, r in zip(angles, radii, strict=True)]


def turn_at_most_half(points: list[tuple[float, float]], middle: tuple[float, float]) -> bool:
    """Whether the middle is inside, so that rising angles make a simple polygon."""
    angles = np.sort([np.arctan2(y - middle[1], x - middle[0]) for x, y in points])
    return bool(np.diff([*angles, angles[0] + 2 * np.pi]).max() < np.pi)


def test_a_rectangle_on_and_off_the_grid() -> None:
    on, _ = cover([[(2, 2), (6, 2), (6, 4), (2, 4)]], 4)
    assert on.tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    off, _ = cover([[(1, 1), (4, 1), (4, 3), (1, 3)]], 4)
    np.testing.assert_allclose(off, [[0.25, 0.5, 0, 0], [0.25, 0.5, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]], atol=1e-12)


def test_a_triangle_by_hand() -> None:
    # Below the diagonal of the 2 x 2 grid.
    out, _ = cover([[(0, 0), (8, 8), (0, 8)]], 2)
    np.testing.assert_allclose(out, [[0.5, 0], [1, 0.5]], atol=1e-12)


def test_a_photo_is_stretched_to_the_square() -> None:
    out, _ = cover([[(0, 0), (10, 0), (10, 4), (0, 4)]], 2, height=4, width=20)
    assert out.tolist() == [[1, 0], [1, 0]]


def test_direction_and_first_point_do_not_matter() -> None:
    points = star(3, 9, 5)
    expected, _ = cover([points], 8)
    for other in (points[::-1], points[4:] + points[:4]):
        np.testing.assert_allclose(cover([other], 8)[0], expected, atol=1e-12)


def test_parts_are_united_and_a_bridged_hole_is_a_hole() -> None:
    square = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0)]
    overlapping = [(2.0, 0.0), (6.0, 0.0), (6.0, 4.0), (2.0, 4.0)][::-1]
    out, _ = cover([square, overlapping], 4)
    assert out.tolist() == [[1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    ring = [(0, 0), (8, 0), (8, 8), (0, 8), (0, 0), (2, 2), (2, 6), (6, 6), (6, 2), (2, 2)]
    assert cover([ring], 4)[0].sum() == pytest.approx(12)


def test_an_area_wound_twice_counts_once() -> None:
    """The non-zero rule; by the even-odd rule of pycocotools it would be a hole."""
    square = [(0, 0), (4, 0), (4, 4), (0, 4)]
    assert cover([square + square], 2)[0].tolist() == [[1, 0], [0, 0]]
    # The two lobes of a figure of eight wind in opposite directions, and both count.
    eight = [(0, 0), (8, 8), (8, 0), (0, 8)]
    assert cover([eight], 1)[0][0, 0] <= 0.5 + 1e-12
    np.testing.assert_allclose(cover([eight], 8)[0].sum(), 32, atol=8 * 0.5)


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(5, 30),
    reach=st.floats(0.5, 12),
    size=st.sampled_from([1, 3, 8, 13]),
    at=st.tuples(st.floats(-3, 11), st.floats(-3, 11)),
)
def test_each_cell_is_the_clipped_area(seed: int, count: int, reach: float, size: int, at: tuple[float, float]) -> None:
    """Simple polygons inside, across and outside the border; the sum of the coverage is the area within the photo."""
    points = star(seed, count, reach, at)
    assume(turn_at_most_half(points, at))
    out, _ = cover([points], size)
    cell = 8 / size
    assert out.sum() * cell * cell == pytest.approx(clipped_area(points, 0, 0, 8, 8), abs=1e-8)
    rng = generator(seed, "cells")
    for row, column in rng.integers(0, size, (4, 2)):
        # Clipping leaves borders that are walked to and fro, which have no area.
        x, y = column * cell, row * cell
        exact = clipped_area(points, x, y, x + cell, y + cell) / cell**2
        assert out[row, column] == pytest.approx(exact, abs=1e-8)


@settings(deadline=None, max_examples=150)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    size=st.integers(1, 20),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
def test_runs_are_the_area_average_of_the_mask(height: int, width: int, size: int, share: float, seed: int) -> None:
    mask = generator(seed, "mask").random((height, width)) < share
    # Long runs over several columns too.
    mask[:, : width // 3] = seed % 2
    text = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    out, sound = cover([], size, height, width, text)
    assert sound
    exact = mask.repeat(size, 0).repeat(size, 1).reshape(size, height, size, width).mean((1, 3))
    np.testing.assert_allclose(out, exact, atol=1e-9)


@pytest.mark.parametrize("text", [b"0", b"51", b"P", b"~~", b"o", b"oooooooooooooooo0", b"\x00", b"`"])
def test_strings_that_do_not_fill_the_photo_are_told(text: bytes) -> None:
    out, sound = cover([], 4, 8, 8, text)
    assert not sound
    assert np.isfinite(out).all()


@settings(deadline=None, max_examples=100)
@given(st.binary(min_size=1, max_size=40))
def test_no_string_breaks_the_kernel(text: bytes) -> None:
    out, _ = cover([], 4, 8, 8, text)
    assert (out >= 0).all() and (out <= 1).all()
