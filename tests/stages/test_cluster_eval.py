"""The stage from made-up artifacts to evaluation and report, without any network."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from aeret.artifacts import Record, write_json
from aeret.data.masks import MaskPlanes
from aeret.embeddings.store import EmbeddingSet
from aeret.errors import DataError, RunError, UsageError
from aeret.evaluation.evaluate import Evaluation
from aeret.progress import silent
from aeret.settings import Settings
from aeret.stages import cluster_eval

N, CELLS = 40, 8
NAMES = ("person", "dog", "kite")


def settings(**changes: Any) -> Settings:
    tree: dict[str, Any] = {
        "data": {"photo_size": 32},
        "cnn": {"input_size": 32},
        "evaluation": {"clusters": 4, "results": 12, "examples": 2},
    }
    for section, values in changes.items():
        tree[section] = tree.get(section, {}) | values
    return Settings(**tree)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Artifacts of every stage before; codes are the masks at a quarter of the resolution."""
    rng = np.random.default_rng(0)
    folders = {stage: tmp_path / stage for stage in cluster_eval.INPUTS}
    for stage, folder in folders.items():
        folder.mkdir()
        record = Record(stage, "k", {}, (), {}, {}, "c", 0, "2026-11-20", seconds=1.0, metrics=_metrics(stage))
        write_json(folder / "artifact.json", asdict(record))
    labels = rng.random((N, 3)) < 0.5
    labels[:, 0] |= ~labels.any(axis=1)
    dense = np.zeros((N, CELLS, CELLS, 3), np.uint8)
    for photo, category in zip(*np.nonzero(labels), strict=True):
        y, x = rng.integers(0, CELLS - 4, 2)
        dense[photo, y : y + 4, x : x + 4, category] = 1
    _prepared(folders["prepare"], labels, dense, rng)
    codes = dense.reshape(N, 2, 4, 2, 4, 3).mean((2, 4)).reshape(N, -1).astype(np.float32)
    (folders["encode-masks"] / "codes").mkdir()
    np.save(folders["encode-masks"] / "codes" / "query.npy", codes)
    predicted = (codes + rng.normal(0, 0.05, codes.shape)).astype(np.float32)
    vectors = np.concatenate([labels, codes], axis=1).astype(np.float32)
    files = {"file_name": np.array([f"{row}.jpg" for row in range(N)])}
    EmbeddingSet(vectors, np.arange(N) + 7, files, {"codes": predicted}).save(folders["embed"] / "gallery")
    np.savez(
        folders["train-ae"] / "examples.npz",
        true=dense[:3],
        reconstructed=dense[:3],
        pca=dense[:3],
        names=np.array(NAMES),
    )
    for stage in ("train-ae", "train-cnn"):
        (folders[stage] / "training").mkdir()
        history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0], "val_loss": [2.5, 1.5]})
        history.to_csv(folders[stage] / "training" / "history.csv", index=False)

    def decode(codes: np.ndarray) -> np.ndarray:
        return codes.reshape(-1, 2, 2, 3).repeat(4, axis=1).repeat(4, axis=2).clip(0, 1)

    stub = SimpleNamespace(SavedEncoder=SimpleNamespace(load=lambda folder: SimpleNamespace(decode=decode)))
    monkeypatch.setitem(sys.modules, "aeret.models.saved", stub)
    return folders


def _metrics(stage: str) -> dict[str, Any]:
    if stage != "train-ae":
        return {}
    values = {"foreground_iou": 0.7, "category_iou": 0.6, "bce": 0.01, "per_category_iou": {"person": 0.7, "dog": None}}
    return {**values, "masks": N, "verdict": "Beats it.", "floors": {"mean_mask": values, "pca": values}}


def _prepared(folder: Path, labels: np.ndarray, dense: np.ndarray, rng: np.random.Generator) -> None:
    (folder / "val").mkdir()
    np.save(folder / "val" / "photos.npy", rng.integers(0, 255, (N, 32, 32, 3), dtype=np.uint8))
    np.save(folder / "val" / "labels.npy", np.packbits(labels, axis=1))
    photos, categories = np.nonzero(dense.any(axis=(1, 2)))
    bits = [np.packbits(dense[photo, :, :, c]) for photo, c in zip(photos, categories, strict=True)]
    offsets = np.searchsorted(photos, np.arange(N + 1)).astype(np.int64)
    MaskPlanes(CELLS, 3, offsets, categories.astype(np.int16), np.array(bits)).save(folder / "val" / "masks")
    rows = {"photo_id": np.arange(N) + 7, "file_name": [f"{r}.jpg" for r in range(N)], "path": ["?"] * N}
    rows |= {"width": np.full(N, 64), "height": np.full(N, 48), "flag:true_masks": np.arange(N) < 30}
    pd.DataFrame(rows | {"subset:real": np.arange(N) < 30}).to_parquet(folder / "val" / "photos.parquet")
    place = {"source": "val", "start": 0, "stop": N}
    record = {
        "version": 1,
        "photo_size": 32,
        "mask_size": CELLS,
        "leave_one_out": True,
        "categories": [{"id": i, "name": name, "supercategory": "thing"} for i, name in enumerate(NAMES)],
        "splits": {"query": place, "gallery": place},
    }
    (folder / "prepared.json").write_text(json.dumps(record))


def test_from_artifacts_to_report(inputs: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with caplog.at_level(logging.INFO, "aeret.evaluation.evaluate"):
        metrics = cluster_eval.run(settings(), inputs, out, silent)
    assert "40 queries in 40 photos: about" in caplog.records[0].getMessage()
    reports = {"report.html", "report.md", "report.csv", "report.json"}
    evaluated = {"metrics.json", "per_query.parquet", "rankings.npz", "timings.json", "clusters"}
    assert {path.name for path in out.iterdir()} == reports | evaluated
    json.dumps(metrics, allow_nan=False)
    evaluation = Evaluation.open(out)
    for line in metrics["headline"]:
        assert set(line) - {"part"} == {"name", "measure", "value", "floor", "floor_name"}
    inside = evaluation.query_by_layout.set_index(["subset", "gallery"]).loc[("real", "all"), "R@10"]
    part = metrics["headline"][1]["part"]
    assert (part["name"], part["value"], part["floor_name"]) == ("on real", inside, "random")
    assert [line["measure"] for line in metrics["headline"]][:2] == ["nDCG(rel=layout)@10", "query by layout R@10"]
    assert metrics["headline"][0]["value"] == evaluation.value("nDCG(rel=layout)@10")
    for measure in ("P(rel=any)@1", "P(rel=any)@10"):
        assert metrics["measures"][measure] == evaluation.value(measure)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "10 of 40 query photos hold masks that are not real ones" in page
    assert "predicted layout" in page
    assert "Beats it." in page
    assert "The mask autoencoder (train-ae)" in page


def test_the_same_seed_gives_the_same_numbers_twice(inputs: dict[str, Path], tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        made.append(cluster_eval.run(settings(), inputs, tmp_path / name, silent))
    assert untimed(made[0]) == untimed(made[1])
    assert numbers(tmp_path / "a") == numbers(tmp_path / "b")
    assert (tmp_path / "a" / "metrics.json").read_text() == (tmp_path / "b" / "metrics.json").read_text()


def untimed(metrics: dict[str, Any]) -> dict[str, Any]:
    """Leave out how long a query took, which no seed decides; it is there for every search that is compared."""
    times = metrics["ms_per_query"]
    assert {"exhaustive", "cluster-first sequential"} <= set(times) and min(times.values()) > 0
    return {name: value for name, value in metrics.items() if name != "ms_per_query"}


def numbers(folder: Path) -> list[str]:
    """Return the report's numbers but for how long the searches took: no seed decides that."""
    lines = (folder / "report.csv").read_text().splitlines()
    assert len(lines) > 100
    return [line for line in lines if not line.startswith("shortcuts,shortcut-times,")]


def test_a_killed_run_goes_on_from_clusters_and_evaluation(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    whole.mkdir()
    out.mkdir()
    expected = cluster_eval.run(settings(), inputs, whole, silent)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("aeret.reporting.evaluation_report.build_report", killed)
        with pytest.raises(KeyboardInterrupt):
            cluster_eval.run(settings(), inputs, out, silent)
    with monkeypatch.context() as patch:
        patch.setattr("aeret.evaluation.evaluate.evaluate", killed)
        patch.setattr("aeret.clustering.kmeans.fit_kmeans", killed)
        assert untimed(cluster_eval.run(settings(), inputs, out, silent)) == untimed(expected)
    assert numbers(out) == numbers(whole)


def test_layouts_ask_with_codes_of_masks_among_predicted_codes(inputs: dict[str, Path], tmp_path: Path) -> None:
    embedded = inputs["embed"] / "gallery"
    kept = EmbeddingSet.open(embedded, mmap=False)
    rng = np.random.default_rng(5)
    noise = rng.normal(0, 0.3, kept.matrices["codes"].shape) * rng.uniform(0.5, 1.5, (N, 1))
    noisy = (kept.matrices["codes"] + noise).astype(np.float32)
    EmbeddingSet(kept.vectors, kept.ids, {}, {"codes": noisy}).save(embedded)

    def found(asking: np.ndarray, asked: np.ndarray) -> list[float]:
        cosines = (asking / np.linalg.norm(asking, axis=1, keepdims=True)).astype(np.float64) @ (
            asked / np.linalg.norm(asked, axis=1, keepdims=True)
        ).T
        ranks = (cosines >= np.diagonal(cosines)[:, None]).sum(axis=1)
        return [float((ranks <= n).mean()) for n in (1, 5, 10)]

    own = np.load(inputs["encode-masks"] / "codes" / "query.npy")
    predicted = np.load(embedded / "codes.npy")
    expected = found(own, predicted)
    for wrong in (found(predicted, own), found(own, own), found(predicted, predicted)):
        assert all(one != other for one, other in zip(expected, wrong, strict=True))
    out = tmp_path / "out"
    out.mkdir()
    metrics = cluster_eval.run(settings(), inputs, out, silent)
    row = Evaluation.open(out).query_by_layout.set_index(["subset", "gallery"]).loc[("all", "all")]
    assert row[["R@1", "R@5", "R@10"]].tolist() == pytest.approx(expected, abs=1e-9)
    headline = {line["measure"]: line["value"] for line in metrics["headline"]}
    assert headline["query by layout R@10"] == pytest.approx(expected[2], abs=1e-9)


def test_labels_only_is_asked_by_layout_like_the_others(inputs: dict[str, Path], tmp_path: Path) -> None:
    found = []
    for arm in ("joint", "labels-only"):
        out = tmp_path / arm
        out.mkdir()
        found.append(cluster_eval.run(settings(cnn={"arm": arm}), inputs, out, silent)["headline"])
    assert found[0] == found[1]
    assert "query by layout R@10" in [line["measure"] for line in found[1]]


def test_a_classic_feature_is_evaluated_without_a_network(inputs: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "out"
    out.mkdir()
    shutil.rmtree(inputs.pop("train-cnn"))
    classic = settings(embed={"features": "hog"})
    assert set(cluster_eval.inputs(classic)) == set(inputs)
    found = cluster_eval.run(classic, inputs, out, silent)["headline"]
    assert "query by layout R@10" in [line["measure"] for line in found]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "hog, no network" in page and "No network was trained" in page
    for never in ("train-cnn", "latent_loss", "resnet18", "joint,"):
        assert never not in page


def test_a_folder_of_photos_cannot_be_evaluated(inputs: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no labels to measure against"):
        cluster_eval.run(settings(embed={"photos": "somewhere"}), inputs, tmp_path, silent)


def test_embeddings_of_other_photos_are_refused(inputs: dict[str, Path], tmp_path: Path) -> None:
    kept = EmbeddingSet.open(inputs["embed"] / "gallery", mmap=False)
    EmbeddingSet(kept.vectors, kept.ids[::-1].copy(), {}, dict(kept.matrices)).save(inputs["embed"] / "gallery")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DataError, match="other photos than the prepared data"):
        cluster_eval.run(settings(), inputs, out, silent)


def test_too_little_memory_is_said_before_any_work(
    inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aeret.evaluation.memory.available_bytes", lambda: 1 << 20)
    with pytest.raises(RunError, match="GiB are free"):
        cluster_eval.run(settings(), inputs, tmp_path, silent)
    assert not (tmp_path / "clusters").exists()


def test_what_is_sure_to_be_there_is_shown_as_its_most_probable_kind() -> None:
    from aeret.stages.report_inputs import spread_anything

    cells = np.array([[0.2, 0.3, 0.9], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.6, 0.1, 0.4]], np.float32)
    expected = [[0.2, 0.9], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.6, 0.1]]
    np.testing.assert_array_equal(spread_anything(cells), np.array(expected, np.float32))
