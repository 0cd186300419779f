"""A finished run, made up in a moment: photos of three kinds, two dozen dimensions, well apart."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aeret.artifacts import Record, write_json
from aeret.data.masks import MaskPlanes
from aeret.embeddings.store import EmbeddingSet
from aeret.pipeline import history
from aeret.settings import Settings

PHOTOS, WIDTH = 90, 24


@pytest.fixture
def toy_run(tmp_path: Path) -> Path:
    """The folder of runs; photo ids are 100 to 189, and photo i is of kind i % 3."""
    root = tmp_path / "runs"
    run = history.start(root, history.new_group(root, "toy"), "", "toy", {}, Settings())
    folders = {stage: root / "artifacts" / stage / "k" for stage in ("prepare", "embed")}
    for stage, folder in folders.items():
        folder.mkdir(parents=True)
        write_json(folder / "artifact.json", asdict(Record(stage, "k", {}, (), {}, {}, "c", 0, "2026-11-20")))
        run.stages.append({"stage": stage, "key": "k", "how": "made", "seconds": 0.0})
    history.finish(root, run, "done")
    source = folders["prepare"] / "val"
    source.mkdir()
    kind = np.arange(PHOTOS) % 3
    labels = np.eye(3, dtype=bool)[kind]
    np.save(source / "photos.npy", np.zeros((PHOTOS, 32, 32, 3), np.uint8))
    np.save(source / "labels.npy", np.packbits(labels, axis=1))
    none = MaskPlanes(8, 3, np.zeros(PHOTOS + 1, np.int64), np.zeros(0, np.int16), np.zeros((0, 8), np.uint8))
    none.save(source / "masks")
    ids = np.arange(100, 100 + PHOTOS)
    rows = {"photo_id": ids, "file_name": ["a.jpg"] * PHOTOS, "path": ["?"] * PHOTOS}
    pd.DataFrame(rows | {"width": np.full(PHOTOS, 64), "height": np.full(PHOTOS, 48)}).to_parquet(
        source / "photos.parquet"
    )
    categories = [{"id": each, "name": f"kind {each}", "supercategory": "thing"} for each in range(3)]
    splits = {name: {"source": "val", "start": 0, "stop": PHOTOS} for name in ("train", "query", "gallery")}
    record = {"version": 1, "photo_size": 32, "mask_size": 8, "leave_one_out": True}
    (folders["prepare"] / "prepared.json").write_text(json.dumps(record | {"categories": categories, "splits": splits}))
    vectors = np.eye(3, WIDTH)[kind] + np.random.default_rng(0).normal(0, 0.05, (PHOTOS, WIDTH))
    files = {"file_name": np.array(["a.jpg"] * PHOTOS)}
    EmbeddingSet(vectors.astype(np.float32), ids, files).save(folders["embed"] / "gallery")
    return root
