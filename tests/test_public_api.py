"""The public names of the package: each is there, loads on use, and the README's example runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import aeret
from aeret.data.scenes import generate_scenes

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("name", [name for name in aeret.__all__ if name != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    thing = getattr(aeret, name)
    assert callable(thing) and thing.__doc__
    assert getattr(aeret, name) is thing


def test_another_name_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'seach'; its public names are in aeret\.__all__"):
        _ = aeret.seach


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, aeret; print([each for each in ('numpy', 'pandas', 'keras', 'faiss') if each in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


TINY = """
data: {manifest: tiny.yaml, photo_size: 32, mask_size: 16, workers: 1, validation_fraction: 0.25}
autoencoder:
  {mask_encoding: supercategory, latent_size: 8, width: 4, depth: 0, training: {epochs: 1, batch_size: 8}}
cnn: {backbone: alexnet-small, input_size: 32, embedding_size: 8, training: {epochs: 1, batch_size: 8}}
evaluation: {clusters: 4, starts: 2, results: 10, resamples: 3, examples: 1}
"""
MANIFEST = """
name: tiny
description: forty drawn photos
root: tiny
sources:
  train: {photos: images, annotations: annotations/instances_train.json}
  val: {photos: images, annotations: annotations/instances_val.json}
splits: {train: val, query: train, gallery: train}
"""


@pytest.mark.slow
def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    generate_scenes(tmp_path / "tiny", 60, seed=1, size=(48, 64), workers=1)
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "demo.yaml").write_text(TINY)
    (tmp_path / "tiny.yaml").write_text(MANIFEST)
    example = example.replace("my.json", "tiny/annotations/instances_train.json")
    shown: list[object] = []
    exec(compile(example, "README.md", "exec"), {"print": lambda *values: shown.extend(values)})
    assert len(shown) >= 2
