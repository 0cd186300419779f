"""The stage: it fails with the pairs, leaves the list, and goes on where it is told to."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeret.data.audit_originals import Originals
from aeret.data.prepared import Prepared
from aeret.errors import DataError, LeakError, RunError
from aeret.pipeline.execute import execute
from aeret.pipeline.graph import plan
from aeret.progress import silent
from aeret.settings import Settings
from aeret.stages import STAGES, audit

MANIFEST = """
name: tiny
description: noise
identity: file name
sources:
  train: {photos: photos, annotations: train.json}
  val: {photos: photos, annotations: val.json}
splits: {train: train, query: val, gallery: val}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Twelve photos to learn from; six to search, of which one is a train photo, mirrored, and one a copy."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    pictures = [Image.fromarray(rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((64, 48)) for _ in range(18)]
    pictures[12] = pictures[3].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pictures[13] = pictures[4]
    for name, start, stop in (("train", 0, 12), ("val", 12, 18)):
        images, annotations = [], []
        for number in range(start, stop):
            pictures[number].save(tmp_path / "photos" / f"{number}.png")
            images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
            corners = [0, 0, 30, 0, 30, 30, 0, 30]
            annotations.append({"id": number, "image_id": number, "category_id": 1, "segmentation": [corners]})
        content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "square"}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    path = tmp_path / "tiny.yaml"
    path.write_text(MANIFEST)
    return path


def settings_of(manifest: Path, **audit: object) -> Settings:
    data = {"manifest": str(manifest), "photo_size": 48, "mask_size": 8, "workers": 1, "validation_fraction": 0.2}
    return Settings.model_validate(
        {"data": data, "cnn": {"input_size": 48}, "evaluation": {"clusters": 2}, "audit": audit}
    )


def run(settings: Settings, root: Path) -> dict[str, object]:
    for task in plan(settings, ["audit"], root):
        record = execute(task, settings, silent)
    return dict(record.metrics)


def test_it_comes_before_any_training() -> None:
    assert list(STAGES)[:3] == ["prepare", "audit", "train-ae"]


def test_leaks_fail_the_run_and_are_listed(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(LeakError) as caught:
        run(settings_of(manifest), tmp_path / "runs")
    text = str(caught.value)
    assert isinstance(caught.value, RunError)
    assert caught.value.exit_code == 1
    assert "2 pair(s)" in text
    assert "4.png (id 4) = query 13.png (id 13): same bytes; certain" in text
    assert "3.png (id 3) = query 12.png (id 12): mirrored near-duplicate" in text
    assert "audit.allow: [[4.png, 13.png]]" in text
    listed = Path(next(line for line in text.splitlines() if "as a table" in line).partition(": ")[2])
    assert len(listed.read_text().splitlines()) == 3
    assert not list((tmp_path / "runs" / "artifacts" / "audit").glob("*/artifact.json"))


def test_it_goes_on_where_it_is_told_to(manifest: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    with pytest.raises(LeakError, match="1 pair") as caught:
        run(settings_of(manifest, near_duplicates="warn"), root)
    assert "12.png" not in str(caught.value), "a warning is no reason to fail"
    metrics = run(settings_of(manifest, near_duplicates="warn", allow=[["13.png", "4.png"]]), root)
    assert (metrics["leaks"], metrics["allowed"], metrics["near_duplicates"]) == (2, 1, 1)
    manifest.write_text(MANIFEST + "known_leaks: [[3.png, 12.png], 13, 17.png]\n")
    metrics = run(settings_of(manifest), root)
    assert (metrics["leaks"], metrics["allowed"], metrics["unused_allowances"]) == (2, 2, ["17.png"])
    assert metrics["chooses_on"] == "validation, a part of train"


@pytest.mark.parametrize("background", ["mask", "random-mask"])
def test_photos_are_compared_as_they_were_before_their_background_was_removed(
    manifest: Path, tmp_path: Path, background: str
) -> None:
    settings = settings_of(manifest, near_duplicates="warn", allow=["4.png"])
    cut = settings.model_copy(update={"data": settings.data.model_copy(update={"background": background})})
    whole = run(settings, tmp_path / "runs")
    # Every photo has one square of noise in the same place: cut out, all look much alike.
    assert run(cut, tmp_path / "runs") == whole
    assert whole["near_duplicates"] == 1


def test_a_photo_that_is_gone_is_named_where_it_must_be_decoded_again(manifest: Path, tmp_path: Path) -> None:
    settings = settings_of(manifest)
    cut = settings.model_copy(update={"data": settings.data.model_copy(update={"background": "mask"})})
    (task,) = plan(cut, ["prepare"], tmp_path / "runs")
    execute(task, cut, silent)
    (tmp_path / "photos" / "14.png").unlink()
    with pytest.raises(DataError, match=r"14\.png \(photo 14\): no such file"):
        audit.run(cut, {"prepare": task.folder}, tmp_path, silent)


def test_only_splits_that_were_changed_are_decoded_again(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves = 'query: {source: val, part: "0:0.5"}, gallery: {source: val, part: "0.5:1"}'
    manifest.write_text(manifest.read_text().replace("query: val, gallery: val", halves))
    settings = settings_of(manifest, near_duplicates="warn", allow=["4.png"])
    queries = {"background": "mask", "background_splits": "query"}
    decoded: list[str] = []
    monkeypatch.setattr(
        "aeret.data.audit_originals.Originals.photos",
        lambda split, positions, photos=Originals.photos: decoded.append(split.name) or photos(split, positions),
    )
    run(settings.model_copy(update={"data": settings.data.model_copy(update=queries)}), tmp_path / "runs")
    assert set(decoded) == {"query"}


def test_threads_that_decode_leave_the_filters_of_warnings_alone(manifest: Path, tmp_path: Path) -> None:
    settings = settings_of(manifest)
    for task in plan(settings, ["prepare"], tmp_path / "runs"):
        execute(task, settings, silent)
        split = Prepared.open(task.folder).split("train")
    before = list(warnings.filters)
    for _ in range(20):
        assert Originals(split, workers=4).photos(slice(None)).shape == split.photos(slice(None)).shape
        assert warnings.filters == before
