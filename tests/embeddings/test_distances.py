from __future__ import annotations

import numpy as np
import pytest

from aeret.embeddings.distances import checked, nearest, nearest_rows, squared_distances
from aeret.errors import UsageError


def vectors(count: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32)


@pytest.mark.parametrize("width", [1, 7, 64, 100])
def test_distances_are_those_of_float64(width: int) -> None:
    queries, gallery = vectors(5, width, 0), vectors(700, width, 1)
    expected = ((queries.astype(np.float64)[:, None] - gallery[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(squared_distances(queries, gallery), expected, rtol=1e-5)


@pytest.mark.parametrize("width", [3, 64, 257])
def test_distances_agree_for_any_batch(width: int) -> None:
    queries, gallery = vectors(13, width, 0), vectors(301, width, 1)
    whole = squared_distances(queries, gallery)
    singly = np.concatenate([squared_distances(queries[i : i + 1], gallery) for i in range(13)])
    turned = squared_distances(np.ascontiguousarray(gallery[::-1]), queries)[::-1].T
    np.testing.assert_allclose(singly, whole, rtol=1e-5)
    np.testing.assert_allclose(turned, whole, rtol=1e-5)
    labels, distances = np.empty(13, np.int32), np.empty(13, np.float32)
    nearest(queries, gallery, labels, distances)
    np.testing.assert_allclose(distances, whole.min(axis=1), rtol=1e-5)
    assert np.array_equal(labels, whole.argmin(axis=1))


# Far from the origin a matrix product rounds away what tells these vectors apart; repeated rows make ties.
@pytest.mark.parametrize(("scale", "offset", "n"), [(1.0, 0, 9), (1.0, 0, 101), (1e-3, 5, 9), (0.0, 5, 9)])
def test_the_nearest_rows_are_those_of_sorting_all_distances(scale: float, offset: float, n: int) -> None:
    # So many queries that faiss multiplies matrices.
    queries = vectors(2100, 64, 0) * np.float32(scale) + np.float32(offset)
    gallery = vectors(300, 64, 1) * np.float32(scale) + np.float32(offset)
    gallery[200:] = gallery[:100]
    rows, squared = nearest_rows(queries, gallery, n)
    whole = squared_distances(queries, gallery)
    expected = np.argsort(whole, axis=1, kind="stable")[:, :n]
    assert np.array_equal(rows, expected)
    np.testing.assert_allclose(squared, np.take_along_axis(whole, expected, axis=1), rtol=1e-5)


def test_all_rows_or_none_can_be_asked_for() -> None:
    queries, gallery = vectors(3, 8, 0), vectors(5, 8, 1)
    assert np.array_equal(nearest_rows(queries, gallery, 5)[0], squared_distances(queries, gallery).argsort(axis=1))
    assert nearest_rows(queries, gallery, 0)[0].shape == (3, 0)
    assert nearest_rows(queries[:0], gallery, 2)[0].shape == (0, 2)


def test_equal_vectors_are_at_distance_zero_and_ties_go_to_the_lowest() -> None:
    gallery = np.repeat(vectors(1, 33, 0), 4, axis=0)
    assert (squared_distances(gallery, gallery) == 0).all()
    labels, distances = np.empty(4, np.int32), np.empty(4, np.float32)
    nearest(gallery, gallery, labels, distances)
    assert not labels.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_a_vector_that_would_break_the_kernels_is_named(bad: float) -> None:
    rows = vectors(4, 3, 0)
    rows[2, 1] = bad
    with pytest.raises(UsageError, match=r"Gallery .* 1 of 4 rows, the first in row 2"):
        checked(rows, "Gallery embeddings")


def test_shapes_are_checked() -> None:
    with pytest.raises(UsageError, match="must be a matrix"):
        checked(np.zeros(3, np.float32), "Queries")
    with pytest.raises(UsageError, match="3 dimensions where 4"):
        checked(np.zeros((2, 3), np.float32), "Queries", 4)
    assert checked(np.zeros((0, 3)), "Queries").dtype == np.float32
