"""`aeret clusters sweep` on a made-up run of two well separated kinds of photos."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from aeret.artifacts import Record, write_json
from aeret.cli import cli
from aeret.data.masks import MaskPlanes
from aeret.embeddings.store import EmbeddingSet
from aeret.errors import UsageError
from aeret.pipeline import history
from aeret.settings import Settings

N = 90


@pytest.fixture
def root(tmp_path: Path) -> Path:
    run = history.start(tmp_path, history.new_group(tmp_path, "toy"), "", "toy", {}, Settings())
    folders = {stage: tmp_path / "artifacts" / stage / "k" for stage in ("prepare", "embed")}
    for stage, folder in folders.items():
        folder.mkdir(parents=True)
        write_json(folder / "artifact.json", asdict(Record(stage, "k", {}, (), {}, {}, "c", 0, "2026-11-20")))
        run.stages.append({"stage": stage, "key": "k", "how": "made", "seconds": 0.0})
    history.finish(tmp_path, run, "done")
    source = folders["prepare"] / "val"
    source.mkdir()
    group = np.arange(N) % 3
    labels = np.eye(3, dtype=bool)[group]
    np.save(source / "photos.npy", np.zeros((N, 32, 32, 3), np.uint8))
    np.save(source / "labels.npy", np.packbits(labels, axis=1))
    MaskPlanes(8, 3, np.zeros(N + 1, np.int64), np.zeros(0, np.int16), np.zeros((0, 8), np.uint8)).save(
        source / "masks"
    )
    rows = {"photo_id": np.arange(N), "file_name": ["a.jpg"] * N, "path": ["?"] * N}
    pd.DataFrame(rows | {"width": np.full(N, 64), "height": np.full(N, 48)}).to_parquet(source / "photos.parquet")
    categories = [{"id": each, "name": f"kind {each}", "supercategory": "thing"} for each in range(3)]
    place = {"source": "val", "start": 0, "stop": N}
    splits = dict.fromkeys(("train", "query", "gallery"), place)
    record = {"version": 1, "photo_size": 32, "mask_size": 8, "leave_one_out": True}
    (folders["prepare"] / "prepared.json").write_text(json.dumps(record | {"categories": categories, "splits": splits}))
    vectors = np.eye(3)[group] + np.random.default_rng(0).normal(0, 0.05, (N, 3))
    files = {"file_name": np.array(["a.jpg"] * N)}
    EmbeddingSet(vectors.astype(np.float32), np.arange(N), files).save(folders["embed"] / "gallery")
    return tmp_path


def sweep(root: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["clusters", "sweep", "--runs", str(root), "--quiet", *arguments])


def test_a_sweep_prints_a_table_and_choices_and_writes_a_plot(root: Path) -> None:
    done = sweep(root, "--k", "2,3,6,12")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    head = lines[0].split()
    assert {"k", "inertia", "silhouette", "davies_bouldin", "nmi", "ari", "f", "kappa", "seconds"} <= set(head)
    assert [line.split()[0] for line in lines[1:5]] == ["2", "3", "6", "12"]
    assert dict(zip(head, lines[2].split(), strict=True))["kappa"] == "1.000"
    assert [line.split() for line in lines if "would choose" in line][-1] == ["kappa", "would", "choose", "k", "=", "3"]
    folder = next((root / "sweeps").iterdir())
    assert {path.name for path in folder.iterdir()} == {f"report.{end}" for end in ("html", "md", "csv", "json")}
    page = (folder / "report.html").read_text()
    assert "pairwise kappa: k = 3" in page
    assert "photos with exactly one label" in page


def test_what_cannot_be_swept_is_explained(root: Path, tmp_path: Path) -> None:
    done = sweep(root, "--k", "10,many")
    assert done.exit_code == 2
    assert "'10,many': give whole numbers" in done.output
    too_many = sweep(root, "--k", "2,91")
    assert isinstance(too_many.exception, UsageError)
    assert "from 2 to the 90 photos" in str(too_many.exception)
    none = sweep(tmp_path / "absent")
    assert isinstance(none.exception, UsageError)
