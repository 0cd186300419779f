"""`aeret run` with visual words instead of a network, on a tiny drawn collection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aeret.data.scenes import generate_scenes

MANIFEST = """
name: tiny
description: forty drawn photos
root: {root}
sources:
  train: {{photos: images, annotations: annotations/instances_train.json}}
  val: {{photos: images, annotations: annotations/instances_val.json}}
splits: {{train: train, query: val, gallery: val}}
"""
PIPELINE = """
data: {{manifest: {manifest}, photo_size: 32, mask_size: 16, workers: 1, validation_fraction: 0.25}}
autoencoder:
  {{mask_encoding: supercategory, latent_size: 8, width: 4, depth: 0, training: {{epochs: 1, batch_size: 8}}}}
cnn: {{input_size: 32}}
evaluation: {{clusters: 2, starts: 1, results: 10, cutoffs: [2], resamples: 3, examples: 1}}
"""


@pytest.mark.slow
def test_visual_words_go_through_the_whole_pipeline(tmp_path: Path) -> None:
    generate_scenes(tmp_path / "tiny", 80, seed=1, size=(48, 64), workers=1)
    (tmp_path / "manifest.yaml").write_text(MANIFEST.format(root=tmp_path / "tiny"))
    (tmp_path / "tiny.yaml").write_text(PIPELINE.format(manifest=tmp_path / "manifest.yaml"))
    for weighting in ("tfidf", "bm25"):
        command = ["run", "tiny.yaml", "--set", f"embed.features=visual-words-{weighting}"]
        done = subprocess.run(
            [sys.executable, "-m", "aeret", *command],
            cwd=tmp_path,
            env=os.environ | {"AERET_RUNS": str(tmp_path / "runs"), "AERET_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    found = list((tmp_path / "runs" / "artifacts" / "cluster-eval").glob("*/metrics.json"))
    assert len(found) == 2 and all(json.loads(path.read_text())["facts"]["n_queries"] > 10 for path in found)
