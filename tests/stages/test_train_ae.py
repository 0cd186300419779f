"""train-ae and encode-masks on two dozen drawn masks, from the annotation file to codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aeret.data.prepared import Prepared
from aeret.models.saved import SavedEncoder
from aeret.progress import silent
from aeret.settings import Settings
from aeret.stages import load_stage, train_ae

from .poison import poisoned

MANIFEST = """
name: rectangles
description: rectangles of two categories
sources:
  seen: {photos: photos, annotations: seen.json}
  new: {photos: photos, annotations: new.json}
splits: {train: seen, query: new, gallery: new}
subsets:
  truemasks: {annotations: some.json}
"""


def settings_of(**changes: Any) -> Settings:
    tree: dict[str, Any] = {
        "data": {"manifest": "unused", "photo_size": 16, "mask_size": 8, "workers": 1, "validation_fraction": 0.2},
        "cnn": {"input_size": 16},
        "evaluation": {"clusters": 4},
        "autoencoder": {"latent_size": 4, "width": 4, "training": {"epochs": 2, "batch_size": 8}},
    }
    for section, values in changes.items():
        tree[section] = {**tree.get(section, {}), **values}
    return Settings(**tree)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rectangles")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(60):
        Image.new("RGB", (16, 16)).save(folder / "photos" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 16, "height": 16})
        for category in (1, 2):
            (x, y), (w, h) = rng.integers(0, 8, 2).tolist(), rng.integers(4, 9, 2).tolist()
            corners = [x, y, x + w, y, x + w, y + h, x, y + h]
            annotations.append(
                {"id": 2 * number + category, "image_id": number, "category_id": category, "segmentation": [corners]}
            )
    categories = [{"id": 1, "name": "dog", "supercategory": "animal"}, {"id": 2, "name": "car", "supercategory": "car"}]

    def write(name: str, ids: range) -> None:
        content = {
            "images": [image for image in images if image["id"] in ids],
            "annotations": [one for one in annotations if one["image_id"] in ids],
            "categories": categories,
        }
        (folder / name).write_text(json.dumps(content))

    write("seen.json", range(40))
    write("new.json", range(40, 60))
    write("some.json", range(50, 53))
    (folder / "rectangles.yaml").write_text(MANIFEST)
    out = folder / "prepared"
    out.mkdir()
    settings = settings_of(data={"manifest": str(folder / "rectangles.yaml")})
    load_stage("prepare").run(settings, {}, out, silent)
    return out


def train(prepared: Path, out: Path, **changes: Any) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)
    return train_ae.run(settings_of(**changes), {"prepare": prepared}, out, silent)


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("train-ae")
    return out, train(prepared, out)


def micro_iou(true: np.ndarray, found: np.ndarray) -> float:
    a, b = true >= 0.5, found >= 0.5
    return float((a & b).sum() / (a | b).sum())


def test_metrics_are_those_of_the_saved_encoder_on_the_queries(
    prepared: Path, trained: tuple[Path, dict[str, Any]]
) -> None:
    out, metrics = trained
    query = Prepared.open(prepared).split("query")
    encoder = SavedEncoder.load(out)
    true = query.masks.dense(np.arange(len(query))).astype(np.float32)
    found = encoder.decode(encoder.encode(query.masks, np.arange(len(query))))
    assert metrics["foreground_iou"] == pytest.approx(micro_iou(true, found), abs=1e-9)
    assert metrics["per_category_iou"]["car"] == pytest.approx(micro_iou(true[..., 1], found[..., 1]), abs=1e-9)
    assert metrics["category_iou"] == pytest.approx(np.mean(list(metrics["per_category_iou"].values())))
    assert metrics["mse"] == pytest.approx(np.square(true - found).mean(), rel=1e-5)
    clipped = np.clip(found.astype(np.float64), 1e-3, 1 - 1e-3)
    entropy = -(true * np.log(clipped) + (1 - true) * np.log(1 - clipped)).mean()
    assert metrics["bce"] == pytest.approx(entropy, rel=1e-4)
    inside = query.subsets["truemasks"]
    assert metrics["subsets"]["truemasks"]["masks"] == 3
    assert metrics["subsets"]["truemasks"]["foreground_iou"] == pytest.approx(micro_iou(true[inside], found[inside]))


def test_floors_are_those_of_an_independent_pca(prepared: Path, trained: tuple[Path, dict[str, Any]]) -> None:
    from sklearn.decomposition import PCA

    _, metrics = trained
    data = Prepared.open(prepared)
    train_split, query = data.split("train"), data.split("query")
    seen = train_split.masks.dense(np.arange(len(train_split))).astype(np.float64)
    new = query.masks.dense(np.arange(len(query))).astype(np.float64)
    both = np.concatenate([seen, seen[:, :, ::-1]]).reshape(2 * len(seen), -1)
    pca = PCA(4, svd_solver="full").fit(both)
    found = pca.inverse_transform(pca.transform(new.reshape(len(new), -1))).reshape(new.shape)
    floor = metrics["floors"]["pca"]
    assert floor["foreground_iou"] == pytest.approx(micro_iou(new, found), abs=0.005)
    assert floor["mse"] == pytest.approx(np.square(new - found.clip(0, 1)).mean(), rel=5e-3)
    mean = np.broadcast_to(seen.mean(axis=0), new.shape)
    assert metrics["floors"]["mean_mask"]["mse"] == pytest.approx(np.square(new - mean).mean(), rel=1e-4)
    assert metrics["floors"]["mean_mask"]["foreground_iou"] == pytest.approx(micro_iou(new, mean), abs=1e-6)
    gain = metrics["foreground_iou"] - floor["foreground_iou"]
    assert metrics["gain_over_pca"] == pytest.approx(gain)
    assert ("does not beat" in metrics["verdict"]) == (gain < train_ae.MARGIN)


def test_artifact_is_whole(trained: tuple[Path, dict[str, Any]]) -> None:
    out, metrics = trained
    json.dumps(metrics, allow_nan=False)
    assert (out / "training" / "history.csv").read_text().count("\n") == 3
    assert not list(out.rglob("checkpoint*")) and not list(out.rglob("best-*"))
    with np.load(out / "examples.npz") as examples:
        assert examples["names"].tolist() == ["dog", "car"]
        for name in ("true", "reconstructed", "pca"):
            assert examples[name].shape == (12, 8, 8, 2)
            assert examples[name].min() >= 0 and examples[name].max() <= 1
        assert len(set(examples["photo_ids"].tolist())) == 12


def test_same_seed_same_weights(prepared: Path, trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, metrics = trained
    assert train(prepared, tmp_path / "again")["foreground_iou"] == metrics["foreground_iou"]
    with np.load(out / "weights.npz") as first, np.load(tmp_path / "again" / "weights.npz") as second:
        assert all((first[name] == second[name]).all() for name in first.files)


def test_queries_and_gallery_teach_and_choose_nothing(
    prepared: Path, trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, metrics = trained
    found = train(poisoned(prepared, tmp_path / "prepared"), tmp_path / "out")
    for name in ("best_epoch", "val_loss", "epochs", "pca_fitted_on"):
        assert found[name] == metrics[name]
    assert found["foreground_iou"] != metrics["foreground_iou"]  # the queries are what it is measured on
    with np.load(out / "weights.npz") as first, np.load(tmp_path / "out" / "weights.npz") as second:
        assert all((first[name] == second[name]).all() for name in first.files)


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "dense", "tied": True, "loss": "bce"},
        {"mask_encoding": "index", "corruption": "masking", "output": "identity", "loss": "mse"},
        {"mask_encoding": "binary", "sparsity": 0.1, "principal": False},
    ],
    ids=lambda changes: str(next(iter(changes.values()))),
)
def test_other_settings_train_too(prepared: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    base = settings_of().autoencoder.model_dump()
    metrics = train(prepared, tmp_path, autoencoder={**base, **changes, "training": {"epochs": 1, "batch_size": 8}})
    assert 0 <= metrics["foreground_iou"] <= 1
    assert "PCA of the same size" in metrics["verdict"]
    json.dumps(metrics, allow_nan=False)


def test_without_validation_photos_the_training_loss_is_not_called_validation_loss(
    prepared: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "prepared"
    whole.mkdir()
    manifest = str(prepared.parent / "rectangles.yaml")
    load_stage("prepare").run(settings_of(data={"manifest": manifest, "validation_fraction": 0.0}), {}, whole, silent)
    metrics = train(whole, tmp_path / "out")
    assert metrics["validation_masks"] == 0
    assert metrics["loss"] > 0
    assert "val_loss" not in metrics


def test_codes_of_every_split_are_normal_and_aligned(
    prepared: Path, trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    stage = load_stage("encode-masks")
    inputs = {"prepare": prepared, "train-ae": trained[0]}
    metrics = stage.run(settings_of(latents={"normalisation": "zscore"}), inputs, tmp_path, silent)
    json.dumps(metrics, allow_nan=False)
    encoder = SavedEncoder.load(tmp_path)
    data = Prepared.open(prepared)
    for name in ("train", "validation", "query", "gallery"):
        split = data.split(name)
        codes = np.load(tmp_path / "codes" / f"{name}.npy")
        assert codes.shape == (len(split), 4) and codes.dtype == np.float32
        np.testing.assert_allclose(codes, encoder.encode(split.masks, np.arange(len(split))), atol=1e-4)
    codes = np.load(tmp_path / "codes" / "train.npy")
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(codes.std(axis=0), 1, atol=1e-4)
    # Fitted on train: the others are close to normal, not exactly.
    assert np.abs(np.load(tmp_path / "codes" / "query.npy").mean(axis=0)).max() > 1e-3
    assert metrics["raw"]["dead_units"] == 0
    spectrum = np.load(tmp_path / "spectrum.npy")
    raw = SavedEncoder.load(trained[0]).encode(data.split("train").masks, np.arange(len(data.split("train"))))
    np.testing.assert_allclose(spectrum, np.linalg.eigvalsh(np.cov(raw.T, bias=True))[::-1], rtol=1e-4)
    assert metrics["raw"]["effective_dimensions"] == pytest.approx(spectrum.sum() ** 2 / (spectrum**2).sum(), rel=1e-4)


def test_statistics_by_hand() -> None:
    from aeret.stages.encode_masks import _statistics

    codes = np.array([[2, 0, 7], [-2, 0, 7], [0, 2, 7], [0, -2, 7]], np.float32)
    values, spectrum = _statistics(codes)
    np.testing.assert_allclose(spectrum, [2, 2, 0], atol=1e-9)
    assert values["dead_units"] == 1
    assert values["effective_dimensions"] == pytest.approx(2)
    assert values["dimensions_for_90_percent"] == 2
    assert values["largest_variance_shares"] == [0.5, 0.5, 0.0]
    nothing, _ = _statistics(np.ones((3, 2), np.float32))
    assert nothing["dead_units"] == 2 and nothing["effective_dimensions"] == 0
