"""All six stages on a tiny drawn collection, twice: the same seed gives the same report numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aeret.data.scenes import generate_scenes
from aeret.pipeline.execute import execute
from aeret.pipeline.graph import plan
from aeret.progress import silent
from aeret.settings import Settings

MANIFEST = """
name: tiny
description: forty drawn photos
root: {root}
sources:
  train: {{photos: images, annotations: annotations/instances_train.json}}
  val: {{photos: images, annotations: annotations/instances_val.json}}
splits: {{train: val, query: train, gallery: train}}
"""


def settings(manifest: Path) -> Settings:
    training = {"epochs": 1, "batch_size": 8, "warmup_epochs": 0}
    return Settings.model_validate(
        {
            "seed": 3,
            "data": {
                "manifest": str(manifest),
                "photo_size": 32,
                "mask_size": 16,
                "workers": 1,
                "validation_fraction": 0.25,
            },
            "autoencoder": {
                "mask_encoding": "supercategory",
                "latent_size": 8,
                "width": 4,
                "depth": 0,
                "training": training,
            },
            "cnn": {
                "backbone": "alexnet-small",
                "input_size": 32,
                "embedding_size": 8,
                "training": training,
            },
            "evaluation": {"clusters": 4, "starts": 2, "results": 10, "resamples": 3, "examples": 1},
        }
    )


def run_all(chosen: Settings, root: Path) -> dict[str, Path]:
    folders = {}
    for task in plan(chosen, ["cluster-eval"], root):
        execute(task, chosen, silent)
        folders[task.stage] = task.folder
    return folders


@pytest.mark.slow
def test_the_same_seed_gives_the_same_report_numbers_twice(tmp_path: Path) -> None:
    generate_scenes(tmp_path / "tiny", 40, seed=1, size=(48, 64), workers=1)
    manifest = tmp_path / "tiny.yaml"
    manifest.write_text(MANIFEST.format(root=tmp_path / "tiny"))
    chosen = settings(manifest)
    one, two = run_all(chosen, tmp_path / "one"), run_all(chosen, tmp_path / "two")
    assert list(one) == ["prepare", "train-ae", "encode-masks", "train-cnn", "embed", "cluster-eval"]
    assert {stage: folder.name for stage, folder in one.items()} == {s: folder.name for s, folder in two.items()}
    first, second = ((each["cluster-eval"] / "metrics.json").read_text() for each in (one, two))
    assert first == second
    metrics: dict[str, Any] = json.loads(first)
    assert metrics["facts"]["n_queries"] == 31  # one photo in five is in "val", and one of the others shows nothing
    assert measured(one["cluster-eval"]) == measured(two["cluster-eval"])
    assert (one["cluster-eval"] / "report.html").stat().st_size > 10_000


def measured(folder: Path) -> list[str]:
    """Return the report's numbers, without when and how long each stage ran, and how long a search took."""
    lines = (folder / "report.csv").read_text().splitlines()
    assert len(lines) > 100
    return [line for line in lines if not line.startswith(("run,stages,", "shortcuts,shortcut-times,"))]
