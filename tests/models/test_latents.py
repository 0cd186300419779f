"""Normalisations worked by hand, and the contract that all of them keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aeret.errors import DataError, UnknownNameError, UsageError
from aeret.models.latents import NORMALISATIONS, Normaliser, fit_normaliser, identity

TRAIN = np.array([[0, 10, 5], [4, 30, 5], [2, 20, 5]], np.float32)


def test_minmax_by_hand() -> None:
    fitted = fit_normaliser("minmax", TRAIN)
    np.testing.assert_allclose(fitted.apply(TRAIN), [[0, 0, 0], [1, 1, 0], [0.5, 0.5, 0]], atol=1e-6)
    # Outside what training saw: clipped. The constant third unit stays 0 whatever comes.
    outside = np.array([[6, 0, 9], [1, 25, 5]], np.float32)
    np.testing.assert_allclose(fitted.apply(outside), [[1, 0, 0], [0.25, 0.75, 0]], atol=1e-6)
    np.testing.assert_allclose(fitted.invert(fitted.apply(outside)), [[4, 10, 5], [1, 25, 5]], atol=1e-5)


def test_zscore_by_hand() -> None:
    fitted = fit_normaliser("zscore", TRAIN)
    spread = np.sqrt(8 / 3)  # of 0, 4, 2, divisor n
    np.testing.assert_allclose(fitted.apply(TRAIN)[:, 0], [-2 / spread, 2 / spread, 0], rtol=1e-5)
    np.testing.assert_allclose(fitted.apply(np.array([[2, 20, 99]], np.float32)), [[0, 0, 0]], atol=1e-6)


def test_l2_by_hand() -> None:
    codes = np.array([[3, 4], [0, 0], [6, 8]], np.float32)
    fitted = fit_normaliser("l2", codes)
    np.testing.assert_allclose(fitted.apply(codes), [[0.6, 0.8], [0, 0], [0.6, 0.8]], atol=1e-6)
    # The length is lost; the mean one, (5 + 0 + 10) / 3, comes back.
    np.testing.assert_allclose(fitted.invert(np.array([[1.2, 1.6]], np.float32)), [[3, 4]], rtol=1e-5)


def correlated(count: int = 400) -> np.ndarray:
    rng = np.random.default_rng(0)
    axes = np.array([[1, 1, 0], [1, -1, 0], [0, 0, 1]]) / np.sqrt([[2], [2], [1]])
    return ((rng.normal(size=(count, 3)) * [9, 1, 0]) @ axes + [5, -3, 2]).astype(np.float32)


def test_whitening_gives_the_unit_covariance_but_for_what_is_constant() -> None:
    codes = correlated()
    white = fit_normaliser("whiten", codes).apply(codes)
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.diag([1, 1, 0]), atol=1e-4)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-4)


def test_half_whitening_takes_the_root_of_the_spread() -> None:
    codes = correlated()
    deviation = np.sqrt(np.linalg.eigvalsh(np.cov(codes.T, bias=True))[::-1][:2])
    half = fit_normaliser("half-whiten", codes).apply(codes)
    found = half.std(axis=0)
    assert found[0] / found[1] == pytest.approx(np.sqrt(deviation[0] / deviation[1]), rel=1e-4)
    assert (found[:2] ** 2).mean() == pytest.approx(1, rel=1e-4)
    assert found[2] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_every_normalisation_keeps_its_contract(name: str, tmp_path: Path) -> None:
    codes = correlated(50)
    fitted = fit_normaliser(name, codes)
    normal = fitted.apply(codes)
    assert normal.shape == codes.shape and normal.dtype == np.float32
    if name != "l2":
        np.testing.assert_allclose(fitted.invert(normal), codes, atol=1e-3)
    # What a network computes from affine() is what apply() gives.
    shift, scale, after = fitted.affine()
    moved = (codes - shift) * scale if scale.ndim == 1 else (codes - shift) @ scale
    moved = np.clip(moved, 0, 1) if after == "clip" else moved
    moved = moved / np.linalg.norm(moved, axis=1, keepdims=True) if after == "l2" else moved
    np.testing.assert_allclose(normal, moved, atol=1e-5)
    fitted.save(tmp_path / "n.npz")
    again = Normaliser.load(tmp_path / "n.npz")
    assert again.name == name
    np.testing.assert_array_equal(again.apply(codes), normal)
    np.testing.assert_array_equal(again.invert(normal), fitted.invert(normal))
    assert {array.dtype for array in (again.shift, again.scale, again.back)} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_codes_that_never_vary_stay_finite(name: str) -> None:
    codes = np.full((3, 4), 1e5, np.float32)
    fitted = fit_normaliser(name, codes)
    assert np.isfinite(fitted.apply(codes + 1)).all()
    if name not in ("l2", "none"):
        assert not fitted.apply(codes + 1).any()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="zscore"):
        fit_normaliser("z-score", TRAIN)
    with pytest.raises(UsageError, match="at least one mask"):
        fit_normaliser("zscore", TRAIN[:0])
    with pytest.raises(UsageError, match="first: row 1"):
        fit_normaliser("zscore", np.array([[0.0], [np.nan]], np.float32))
    with pytest.raises(UsageError, match=r"\(n, 3\)"):
        identity(3).apply(np.zeros((2, 4), np.float32))
    with pytest.raises(DataError, match="is missing"):
        Normaliser.load(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DataError, match="holds no normaliser"):
        Normaliser.load(tmp_path / "bad.npz")
