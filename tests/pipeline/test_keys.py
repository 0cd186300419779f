"""What changes the key of an artifact: the code that makes it, and the Keras backend."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import aeret
from aeret.pipeline import code
from aeret.pipeline.graph import plan
from aeret.settings import Settings
from aeret.stages import STAGES

CACHED = (code.closure, code._path, code._parsed, code._compiled_digest, code._imported, code._libraries)


def forget() -> None:
    for function in CACHED:
        function.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a copy of the package's source that the code digest reads instead of the real one."""
    copy = tmp_path / "aeret"
    shutil.copytree(Path(aeret.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(aeret, "__file__", str(copy / "__init__.py"))
    forget()
    yield copy
    forget()


def digests() -> dict[str, str]:
    forget()
    return {stage: code.code_digest(module) for stage, module in STAGES.items()}


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_changed_number_changes_the_code_of_the_stages_that_reach_it(package: Path) -> None:
    before = digests()
    assert digests() == before
    replace(package / "losses" / "latent.py", "\nLatentLoss = ", "\nCHANGED = 1\nLatentLoss = ")
    after = digests()
    assert after["train-cnn"] != before["train-cnn"]
    assert after["prepare"] == before["prepare"]


def test_an_import_inside_a_function_is_followed(package: Path) -> None:
    source = (package / "stages" / "embed.py").read_text(encoding="utf-8")
    assert "\n    from aeret.embeddings.normalise import" in source
    before = digests()
    (package / "embeddings" / "normalise.py").write_text("OTHER = 2\n", encoding="utf-8")
    assert digests()["embed"] != before["embed"]


def test_comments_and_docstrings_change_nothing(package: Path) -> None:
    before = digests()
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace('"""', '"""Mended. ', 1) + "\n# A remark.\n", encoding="utf-8")
    assert digests() == before


def test_only_a_used_registry_is_followed() -> None:
    assert "aeret.stages.embed" not in code.closure("aeret.stages.prepare")
    assert not any(name.startswith("aeret.settings") for name in code.closure("aeret.stages.train_cnn"))


def test_stages_that_import_keras_are_known() -> None:
    found = {stage for stage, module in STAGES.items() if code.imports(module, "keras")}
    assert {"train-ae", "encode-masks", "train-cnn", "embed"} <= found and not found & {"prepare", "audit"}


def test_another_keras_backend_is_another_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> dict[str, str]:
        settings = Settings.model_validate({"data": {"manifest": "scenes"}})
        return {task.stage: task.key for task in plan(settings, ["cluster-eval"], tmp_path)}

    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    before = keys()
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    after = keys()
    assert after["train-ae"] != before["train-ae"] and after["train-cnn"] != before["train-cnn"]
    assert after["prepare"] == before["prepare"]
