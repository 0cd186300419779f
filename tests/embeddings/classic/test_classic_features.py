"""Classic features: one contract for all, and what each is made to see."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfTransformer

from aeret.embeddings.classic import CLASSIC_FEATURES, describe_batches
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError

Photos = np.ndarray


def noise(count: int, side: int, seed: int = 0) -> Photos:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def cosine(name: str, one: Photos, two: Photos) -> float:
    vectors = l2_normalise(CLASSIC_FEATURES[name].describe(np.stack([one, two])))
    return float(vectors[0] @ vectors[1])


def stripes(side: int, across: bool, colour: tuple[int, int, int] = (250, 250, 250)) -> Photos:
    on = (np.arange(side) // 4 % 2).astype(bool)
    photo = np.zeros((side, side, 3), np.uint8)
    photo[on if across else slice(None), slice(None) if across else on] = colour
    return photo


@pytest.mark.parametrize("name", CLASSIC_FEATURES)
def test_the_contract(name: str) -> None:
    feature = CLASSIC_FEATURES[name]
    photos = noise(5, 48)
    found = feature.describe(photos)
    assert found.dtype == np.float32 and found.ndim == 2 and np.isfinite(found).all()
    np.testing.assert_array_equal(feature.describe(photos[2:4]), found[2:4])  # whatever stands beside a photo
    assert len({*map(bytes, found)}) == 5
    for side in (16, 50, 112):
        assert feature.describe(noise(1, side)).shape[1] == found.shape[1]
    assert np.isfinite(feature.describe(np.zeros((1, 32, 32, 3), np.uint8))).all()
    batches = list(describe_batches(feature, [photos[:2], photos[2:]], 5))
    np.testing.assert_array_equal(np.concatenate(batches), found)


def test_processes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aeret.embeddings.classic.feature._INLINE", 0)
    feature, photos = CLASSIC_FEATURES["hog"], noise(6, 32)
    found = list(describe_batches(feature, (photos[start : start + 1] for start in range(6)), 6, workers=2))
    np.testing.assert_array_equal(np.concatenate(found), feature.describe(photos))


def test_colours_wherever_they_are() -> None:
    red = stripes(32, True, (250, 10, 10))
    assert cosine("colour-histogram", red, np.rot90(red)) == pytest.approx(1)
    assert cosine("colour-histogram", red, stripes(32, True, (10, 250, 10))) == pytest.approx(0.5)
    counts = CLASSIC_FEATURES["colour-histogram"].describe(red[None]) ** 2
    assert sorted(counts[counts > 0].tolist()) == pytest.approx([0.5, 0.5])


def test_directions_of_edges_whatever_their_colour() -> None:
    across, down = stripes(64, True), stripes(64, False)
    assert cosine("hog", across, stripes(64, True, (120, 250, 120))) > 0.99
    assert cosine("hog", across, down) < 0.5


def test_texture_is_found_in_its_place() -> None:
    plain, rough = np.full((64, 64, 3), 128, np.uint8), noise(1, 64)[0]
    left, right = plain.copy(), plain.copy()
    left[:, :32], right[:, 32:] = rough[:, :32], rough[:, 32:]
    again = plain.copy()
    again[:, :32] = noise(1, 64, seed=1)[0][:, :32]
    assert cosine("lbp", left, again) > cosine("lbp", left, right) + 0.1


def test_thumbnails_lie_along_the_axes_of_train() -> None:
    feature = CLASSIC_FEATURES["thumbnail-pca"]
    described = feature.describe(noise(20, 32))
    fitted = feature.fit(described)
    assert fitted["axes"].shape == (768, 19)
    np.testing.assert_allclose(fitted["axes"].T @ fitted["axes"], np.eye(19), atol=1e-4)
    expected = np.abs(PCA(19, svd_solver="full").fit_transform(described))
    np.testing.assert_allclose(np.abs(feature.project(described, fitted)), expected, atol=1e-2)
    with pytest.raises(UsageError, match="two photos"):
        feature.fit(described[:1])


@pytest.mark.parametrize("name", ["visual-words-tfidf", "visual-words-bm25"])
def test_visual_words_are_weighted_counts_and_tell_textures_apart(name: str) -> None:
    feature = CLASSIC_FEATURES[name]
    photos = np.concatenate([noise(8, 64), noise(8, 64) // 4 + stripes(64, True) // 2])
    described = feature.describe(photos)
    fitted = feature.fit(described)
    found = l2_normalise(feature.project(described, fitted))
    assert found.shape == (16, min(512, 16 * described.shape[1] // 56)) and (found >= 0).all()
    alike = found @ found.T
    np.fill_diagonal(alike, np.nan)
    assert np.nanmean(alike[:8, :8]) + np.nanmean(alike[8:, 8:]) > 2 * np.nanmean(alike[:8, 8:])
    again = feature.fit(described)
    np.testing.assert_array_equal(again["words"], fitted["words"])


def test_weights_of_visual_words_are_those_of_scikit_learn_and_of_bm25() -> None:
    tfidf, bm25 = (CLASSIC_FEATURES[f"visual-words-{weight}"] for weight in ("tfidf", "bm25"))
    described = tfidf.describe(noise(12, 64))
    fitted = tfidf.fit(described)
    plain = dict(fitted, idf=np.ones_like(fitted["idf"]))
    counts = tfidf.project(described, plain)
    assert (counts.sum(axis=1) == described.shape[1] // 56).all()
    expected = TfidfTransformer().fit(counts).transform(counts).toarray()
    np.testing.assert_allclose(l2_normalise(tfidf.project(described, fitted)), expected, atol=1e-6)
    having = (counts > 0).sum(axis=0)
    idf = np.log(1 + (12 - having + 0.5) / (having + 0.5))
    np.testing.assert_allclose(bm25.project(described, fitted), idf * counts * 2.2 / (counts + 1.2), rtol=1e-5)
