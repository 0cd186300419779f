import os
import subprocess
import sys
from pathlib import Path

import pytest

from aeret.pipeline.backend import keras_backend, settle_backend


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert keras_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert keras_backend() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert keras_backend() == "torch"
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert keras_backend() == "jax"


def test_the_file_is_found_below_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text('{"backend": "torch"}')
    assert keras_backend() == "torch"


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"floatx": "float32"}'])
def test_a_file_that_names_none_is_tensorflow(tmp_path: Path, content: str) -> None:
    (tmp_path / "keras.json").write_text(content)
    assert keras_backend() == "tensorflow"


def test_it_is_settled_for_child_processes(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    before = dict(os.environ)
    try:
        settle_backend()
        assert os.environ["KERAS_BACKEND"] == "jax"
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_keras_reads_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"backend": "abacus"}')
    command = [sys.executable, "-c", "import keras"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert "Unable to import backend : abacus" in done.stderr
    assert keras_backend() == "abacus"
