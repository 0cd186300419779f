"""What changes the key of a trained artifact: the code that made it, and the Keras backend."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import aeret
from aeret.pipeline import graph
from aeret.pipeline.graph import plan
from aeret.settings import Settings


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the package's source that the code digest reads instead of the real one."""
    copy = tmp_path / "aeret"
    shutil.copytree(Path(aeret.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(aeret, "__file__", str(copy / "__init__.py"))
    return copy


def keys(root: Path) -> dict[str, str]:
    graph._code_digest.cache_clear()
    settings = Settings.model_validate({"data": {"manifest": "scenes"}})
    found = {task.stage: task.key for task in plan(settings, ["cluster-eval"], root)}
    graph._code_digest.cache_clear()
    return found


def test_changed_code_changes_the_key_of_what_it_makes(package: Path, tmp_path: Path) -> None:
    before = keys(tmp_path)
    assert keys(tmp_path) == before
    path = package / "losses" / "latent.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nCHANGED = 1\n", encoding="utf-8")
    after = keys(tmp_path)
    assert after["train-cnn"] != before["train-cnn"]
    assert after["prepare"] == before["prepare"]


def test_another_keras_backend_is_another_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    before = keys(tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    after = keys(tmp_path)
    assert after["train-ae"] != before["train-ae"] and after["train-cnn"] != before["train-cnn"]
    assert after["prepare"] == before["prepare"]
