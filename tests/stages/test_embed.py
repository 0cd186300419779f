"""What decides the key of embeddings of a folder of photos; embeddings without a network."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from aeret.data.masks import MaskPlanes
from aeret.embeddings.classic import CLASSIC_FEATURES
from aeret.embeddings.store import EmbeddingSet
from aeret.progress import silent
from aeret.settings import EmbedSettings, Settings
from aeret.stages import classic_embedding, embed, outside_files


def test_photos_are_read_once_and_their_digest_follows_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AERET_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "ab":
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")
        os.utime(folder / f"{name}.png", (1_000_000, 1_000_000))
    settings = Settings(embed=EmbedSettings(photos=str(folder)))
    assert embed.sources(Settings()) == {}
    first = embed.sources(settings)
    read: list[Path] = []
    monkeypatch.setattr(outside_files, "file_digest", lambda path: read.append(path) or "0123")
    assert embed.sources(settings) == first and not read
    Image.new("RGB", (8, 8), "red").save(folder / "b.png")
    assert embed.sources(settings) != first and read == [folder / "b.png"]


def prepared_folder(folder: Path, count: int) -> dict[str, np.ndarray]:
    """Write prepared data whose four splits are of one source; a photo is as bright on the left as its first label."""
    rng = np.random.default_rng(0)
    labels = rng.random((count, 3)) < 0.5
    photos = rng.integers(0, 60, (count, 32, 32, 3), dtype=np.uint8)
    photos[:, :, :16] += (labels[:, :1, None, None] * 150).astype(np.uint8)
    (folder / "all").mkdir(parents=True)
    np.save(folder / "all" / "photos.npy", photos)
    np.save(folder / "all" / "labels.npy", np.packbits(labels, axis=1))
    none = np.zeros((0, 8), np.uint8)
    MaskPlanes(8, 3, np.zeros(count + 1, np.int64), np.zeros(0, np.int16), none).save(folder / "all" / "masks")
    rows = {"photo_id": np.arange(count) + 7, "file_name": [f"{r}.jpg" for r in range(count)], "path": ["?"] * count}
    pd.DataFrame(rows | {"width": 32, "height": 32}).to_parquet(folder / "all" / "photos.parquet")
    bounds = {"train": (0, 60), "validation": (60, 70), "query": (70, 80), "gallery": (80, count)}
    record = {
        "version": 1,
        "photo_size": 32,
        "mask_size": 8,
        "leave_one_out": False,
        "categories": [{"id": i, "name": str(i), "supercategory": "thing"} for i in range(3)],
        "splits": {name: {"source": "all", "start": a, "stop": b} for name, (a, b) in bounds.items()},
    }
    (folder / "prepared.json").write_text(json.dumps(record))
    return {name: labels[a:b] for name, (a, b) in bounds.items()}


@pytest.fixture
def inputs(tmp_path: Path) -> tuple[dict[str, Path], dict[str, np.ndarray]]:
    """Artifacts before a classic feature; the code of a photo is its labels, as numbers of length 2."""
    folders = {name: tmp_path / name for name in ("prepare", "encode-masks")}
    labels = prepared_folder(folders["prepare"], 100)
    (folders["encode-masks"] / "codes").mkdir(parents=True)
    for name, each in labels.items():
        np.save(folders["encode-masks"] / "codes" / f"{name}.npy", 2 * each[:, :2].astype(np.float32))
    return folders, labels


@pytest.mark.parametrize("name", [name for name in CLASSIC_FEATURES if name != "lbp"])
def test_a_classic_feature_becomes_embeddings_codes_and_scores(
    inputs: tuple[dict[str, Path], dict[str, np.ndarray]], tmp_path: Path, name: str
) -> None:
    folders, labels = inputs
    settings = Settings.model_validate({"data": {"workers": 1}, "embed": {"features": name, "batch_size": 7}})
    assert set(embed.inputs(settings)) == set(folders)
    out = tmp_path / "out"
    out.mkdir()
    metrics = embed.run(settings, folders, out, silent)
    assert metrics["photos"] == {"query": 10, "gallery": 20} and metrics["features"] == name
    assert {path.name for path in out.iterdir()} == {"query", "gallery", "classic.npz"}
    for split in ("query", "gallery"):
        found = EmbeddingSet.open(out / split)
        assert np.linalg.norm(found.vectors, axis=1) == pytest.approx(np.ones(len(found)), abs=1e-5)
        scores, codes = found.matrices["label_scores"], found.matrices["codes"]
        assert codes.shape == (len(found), 2) and scores.min() >= 0 and scores.max() <= 1
        bright = labels[split][:, 0]
        assert scores[bright, 0].min() > scores[~bright, 0].max()
        assert codes[bright, 0].mean() - codes[~bright, 0].mean() > 1


def test_a_killed_classic_feature_goes_on_to_the_same(
    inputs: tuple[dict[str, Path], dict[str, np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, _ = inputs
    settings = Settings.model_validate({"data": {"workers": 1}, "embed": {"features": "thumbnail-pca", "part_size": 8}})
    whole, out = tmp_path / "whole", tmp_path / "out"
    whole.mkdir()
    out.mkdir()
    embed.run(settings, folders, whole, silent)
    real = classic_embedding.ClassicEmbedding.predict
    calls: list[int] = []

    def killed(self: Any, batches: Any, count: int) -> Any:
        calls.append(count)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, batches, count)

    monkeypatch.setattr(classic_embedding.ClassicEmbedding, "predict", killed)
    with pytest.raises(KeyboardInterrupt):
        embed.run(settings, folders, out, silent)
    monkeypatch.setattr(classic_embedding, "_fit", None)  # fitted already
    embed.run(settings, folders, out, silent)
    assert calls == [8, 2, 8, 8, 8, 2, 8, 4]  # the queries again, of the gallery what was missing
    for split in ("query", "gallery"):
        for file in ("vectors.npy", "codes.npy", "label_scores.npy"):
            assert (out / split / file).read_bytes() == (whole / split / file).read_bytes()
