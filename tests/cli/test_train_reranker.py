"""`aeret index train-reranker`, and a search that uses what it wrote."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from click.testing import CliRunner, Result

from aeret.artifacts import Record, write_json
from aeret.cli import cli
from aeret.models.joint import JointModel
from aeret.models.saved_joint import SavedJoint
from aeret.settings import CnnSettings


def index(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["index", *arguments])


def add_cnn(root: Path) -> None:
    """Add an untrained network to the toy run."""
    folder = root / "artifacts" / "train-cnn" / "k"
    folder.mkdir(parents=True)
    write_json(folder / "artifact.json", asdict(Record("train-cnn", "k", {}, (), {}, {}, "c", 0, "2026-11-20")))
    settings = CnnSettings(backbone="alexnet-small", input_size=32)
    SavedJoint.save(folder, JointModel(settings, 3, 4, seed=0), ["a", "b", "c"], 4)
    path = next(root.glob("history/*/run.json"))
    run = json.loads(path.read_text())
    run["stages"].append({"stage": "train-cnn", "key": "k", "how": "made", "seconds": 0.0})
    path.write_text(json.dumps(run))


def test_a_network_is_trained_on_train_photos_and_re_ranks_a_search(toy_run: Path, tmp_path: Path) -> None:
    add_cnn(toy_run)
    where = ("--runs", str(toy_run))
    gallery, file = str(tmp_path / "gallery.index"), str(tmp_path / "contextual.npz")
    assert index("build", "flat", gallery, "--quiet", *where).exit_code == 0
    refused = index("train-reranker", file, *where)
    assert "are query or gallery photos" in str(refused.exception), "the toy's splits are the same photos"
    prepared = toy_run / "artifacts" / "prepare" / "k" / "prepared.json"
    record = json.loads(prepared.read_text())
    record["splits"] = {"train": {"source": "val", "start": 0, "stop": 30}} | {
        name: {"source": "val", "start": 30, "stop": 90} for name in ("query", "gallery")
    }
    prepared.write_text(json.dumps(record))
    trained = index("train-reranker", file, "--epochs", "1", *where)
    assert trained.exit_code == 0, trained.output
    assert "lists of 30 train photos" in trained.output
    asked = ("search", gallery, "--photo", "104", "--rerank", "contextual", "--top", "20", "--results", "5")
    found = index(*asked, "--rerank-option", f"network={file}")
    assert found.exit_code == 0, found.output
    assert len(found.output.splitlines()) == 6
    assert "train one with `aeret index train-reranker`" in str(index(*asked).exception)
