from collections.abc import Callable

import numpy as np
import pytest

from aeret.data.masks import MaskPlanes
from aeret.errors import UnknownNameError, UsageError
from aeret.retrieval.mask_overlap import join, planes_of
from aeret.retrieval.similarities import SIMILARITIES, decoded_planes, search

RNG = np.random.default_rng(4)
QUERIES, GALLERY = RNG.standard_normal((5, 16)).astype(np.float32), RNG.standard_normal((30, 16)).astype(np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def masks(photos: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    dense = np.zeros((photos, 8, 8, 4), bool)
    for photo, category in zip(*np.nonzero(rng.random((photos, 4)) < 0.5), strict=True):
        y, x = rng.integers(0, 6, 2)
        dense[photo, y : y + rng.integers(1, 8), x : x + rng.integers(1, 8), category] = True
    return dense


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    either = [c for c in range(4) if a[..., c].any() or b[..., c].any()]
    return float(np.mean([(a & b)[..., c].sum() / (a | b)[..., c].sum() for c in either])) if either else 0.0


@pytest.mark.parametrize(
    ("name", "distances"),
    [
        ("cosine", lambda: 1 - unit(QUERIES) @ unit(GALLERY).T),
        ("euclidean", lambda: np.linalg.norm(QUERIES[:, None] - GALLERY[None], axis=2)),
        ("dot", lambda: -QUERIES @ GALLERY.T),
    ],
)
def test_vectors_are_ranked_by_the_formula(name: str, distances: Callable[[], np.ndarray]) -> None:
    expected = distances()
    found = search(name, QUERIES, GALLERY, 7)
    assert found.rows.tolist() == np.argsort(expected, axis=1)[:, :7].tolist()
    assert found.distances == pytest.approx(np.sort(expected, axis=1)[:, :7], abs=1e-5)


def test_hamming_counts_bits() -> None:
    queries, gallery = RNG.random((4, 24)) < 0.5, RNG.random((20, 24)) < 0.5
    expected = (queries[:, None] != gallery[None]).sum(axis=2)
    found = search("hamming", queries, gallery, 20)
    assert found.rows.tolist() == np.argsort(expected, axis=1, kind="stable").tolist()
    assert (found.distances == np.sort(expected, axis=1)).all()


def test_layout_is_one_minus_mean_overlap() -> None:
    queries, gallery = masks(6, 1), masks(25, 2)
    expected = np.array([[1 - overlap(a, b) for b in gallery] for a in queries], np.float32)
    found = search("layout", planes_of(queries), planes_of(gallery), 25)
    assert found.distances == pytest.approx(np.sort(expected, axis=1), abs=1e-6)
    assert np.take_along_axis(expected, found.rows, axis=1) == pytest.approx(found.distances, abs=1e-6)


@pytest.mark.parametrize("name", list(SIMILARITIES))
def test_the_photo_itself_is_left_out_and_threads_change_nothing(name: str) -> None:
    photos = {"layout": planes_of(masks(90, 3)), "hamming": RNG.random((90, 16)) < 0.5}
    whole = photos.get(name, RNG.standard_normal((90, 6)).astype(np.float32))
    exclude = np.arange(90)
    one, two = (search(name, whole, whole, 500, exclude, threads) for threads in (1, 2))
    assert one.rows.shape == (90, 89)
    assert not (one.rows == exclude[:, None]).any()
    assert (one.rows == two.rows).all() and (one.distances == two.distances).all()


def test_decoded_planes_keep_cells_from_half_on_and_join_blocks() -> None:
    shares = np.random.default_rng(5).random((7, 8, 8, 3))
    shares[2] = 0.1
    planes = decoded_planes([shares[:3], shares[3:]])
    assert (planes.dense(np.arange(7)).astype(bool) == (shares >= 0.5)).all()
    assert planes.offsets[3] == planes.offsets[2]


def test_joined_planes_are_those_of_all() -> None:
    dense = masks(9, 8)
    whole, parts = planes_of(dense), join([planes_of(dense[:4]), planes_of(dense[4:5]), planes_of(dense[5:])])
    assert all((getattr(whole, each) == getattr(parts, each)).all() for each in ("offsets", "category", "bits"))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: search("cosin", QUERIES, GALLERY, 3), UnknownNameError, "'cosine'"),
        (lambda: search("layout", QUERIES, GALLERY, 3), UsageError, "compares masks"),
        (lambda: search("dot", planes_of(masks(2, 1)), GALLERY, 3), UsageError, "compares vectors"),
        (lambda: search("dot", QUERIES, GALLERY, 0), UsageError, "n=0"),
        (lambda: search("dot", QUERIES, GALLERY, 3, np.array([99] * 5)), UsageError, "exclude"),
        (lambda: decoded_planes([]), UsageError, "no decoded masks"),
        (
            lambda: search("layout", MaskPlanes(4, 4, np.zeros(1, np.int64), *EMPTY), planes_of(masks(2, 1)), 3),
            UsageError,
            "4 cells",
        ),
    ],
)
def test_what_does_not_fit_is_said(call: Callable[[], object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        call()


EMPTY = (np.empty(0, np.int16), np.empty((0, 2), np.uint8))
