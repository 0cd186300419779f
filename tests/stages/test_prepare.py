"""The stage: what decides its key, and that its artifact opens."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeret.artifacts import file_digest
from aeret.data.prepared import Prepared
from aeret.errors import DataError, UsageError
from aeret.pipeline.execute import execute
from aeret.pipeline.graph import plan
from aeret.pipeline.pipelines import read_pipeline
from aeret.pipeline.run import run_pipeline
from aeret.progress import silent
from aeret.settings import Settings, settings_from
from aeret.stages import load_stage, outside_files, prepare

MANIFEST = """
name: tiny
description: grey squares
sources:
  all: {photos: photos, annotations: all.json}
splits:
  train: {source: all, part: "0:0.5"}
  query: {source: all, part: "0.5:1"}
  gallery: {source: all, part: "0.5:1"}
subsets:
  some: {annotations: some.json}
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twenty photos, old enough for their digests to be kept."""
    monkeypatch.setenv("AERET_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "tiny"
    (folder / "photos").mkdir(parents=True)
    images, annotations = [], []
    for number in range(20):
        path = folder / "photos" / f"{number}.png"
        Image.new("RGB", (32, 32), (number, number, number)).save(path)
        os.utime(path, (1_000_000, 1_000_000))
        images.append({"id": number, "file_name": path.name, "width": 32, "height": 32})
        corners = [0, 0, 16, 0, 16, 16, 0, 16]
        annotations.append({"id": number, "image_id": number, "category_id": 1, "segmentation": [corners]})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "square"}]}
    (folder / "all.json").write_text(json.dumps(content))
    (folder / "some.json").write_text(json.dumps({"images": images[:3]}))
    (folder / "tiny.yaml").write_text(MANIFEST)
    return folder


def settings_of(manifest: str | Path, *overrides: str) -> Settings:
    from ruamel.yaml.comments import CommentedMap

    return settings_from(
        CommentedMap(),
        [
            f"data.manifest={manifest}",
            "data.photo_size=16",
            "cnn.input_size=16",
            "data.mask_size=8",
            "evaluation.clusters=2",
            *overrides,
        ],
    )


def test_run_writes_what_opens(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    metrics = load_stage("prepare").run(settings_of(tiny / "tiny.yaml"), {}, out, silent)
    prepared = Prepared.open(out)
    assert metrics["photos"] == {name: len(prepared.split(name)) for name in metrics["photos"]}
    query = prepared.split("query")
    assert (query.photos([0]) == query.photo_ids[0]).all()
    assert prepared.split("query").masks.dense([0]).sum() == 16
    json.dumps(metrics, allow_nan=False)


def test_key_follows_content(tiny: Path, tmp_path: Path) -> None:
    def key(*overrides: str) -> str:
        return plan(settings_of(tiny / "tiny.yaml", *overrides), ["prepare"], tmp_path)[0].key

    first = key()
    assert key("seed=5", "cnn.dropout=0.5") == first
    assert key("data.mask_size=16") != first
    assert key("data.split_seed=1") != first
    for name in ("all.json", "some.json"):
        before = key()
        (tiny / name).write_text((tiny / name).read_text() + "\n")
        assert key() != before, name
    before = key()
    text = (tiny / "tiny.yaml").read_text()
    (tiny / "tiny.yaml").write_text("# mine\nlicence: CC0\n" + text.replace("grey squares", "squares, grey"))
    assert key() == before
    for old, new in (
        ("0:0.5", "0:0.4"),
        ("  some:", "  few:"),
        ("all.json", "../tiny/photos/../all.json"),
        ("tiny", "small"),
    ):
        (tiny / "tiny.yaml").write_text(text.replace(old, new, 1))
        assert (key() != before) == (old != "all.json"), old


def test_photo_digest_follows_content_not_time(tiny: Path) -> None:
    settings = settings_of(tiny / "tiny.yaml")
    first = prepare.sources(settings)
    assert set(first) == {"manifest", "annotations all", "photos all", "subset some"}
    for path in (tiny / "photos").iterdir():
        os.utime(path, (2_000_000, 2_000_000))
    assert prepare.sources(settings) == first
    path = tiny / "photos" / "3.png"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))  # the same size
    assert prepare.sources(settings)["photos all"] != first["photos all"]
    path.write_bytes(data)
    assert prepare.sources(settings) == first
    path.rename(path.with_name("30.png"))
    assert prepare.sources(settings)["photos all"] != first["photos all"]


def test_only_the_photos_that_records_name_count(tiny: Path) -> None:
    """A collection whose photo folder is the folder of everything, with a subfolder that is a link."""
    (tiny / "photos").rename(tiny.parent / "elsewhere")
    (tiny / "photos").symlink_to(tiny.parent / "elsewhere")
    content = json.loads((tiny / "all.json").read_text())
    for image in content["images"]:
        image["file_name"] = f"photos/{image['file_name']}"
    (tiny / "all.json").write_text(json.dumps(content))
    (tiny / "tiny.yaml").write_text(MANIFEST.replace("photos: photos", "photos: ."))
    settings = settings_of(tiny / "tiny.yaml")
    first = prepare.sources(settings)
    (tiny / "runs").mkdir()
    (tiny / "runs" / "report.png").write_bytes(b"of a run")
    assert prepare.sources(settings) == first
    (tiny / "photos" / "3.png").write_bytes(b"another")
    changed = prepare.sources(settings)
    assert {name for name in first if changed[name] != first[name]} == {"photos all"}


def test_a_broken_annotation_file_is_left_to_the_run(tiny: Path, tmp_path: Path) -> None:
    settings = settings_of(tiny / "tiny.yaml")
    text = (tiny / "all.json").read_text()
    for broken in ("", text[:500], text.replace("3.png", "/dev/zero")):
        (tiny / "all.json").write_text(broken)
        prepare.sources(settings)
        with pytest.raises(DataError, match=r"all\.json: .*aeret data check"):
            prepare.run(settings, {}, tmp_path, silent)


def test_a_gallery_smaller_than_its_clusters_is_refused_before_any_work(tiny: Path, tmp_path: Path) -> None:
    settings = settings_of(tiny / "tiny.yaml", "evaluation.clusters=12")
    with pytest.raises(UsageError, match=r"gallery has 11 photos.*evaluation.clusters=12.*--set evaluation.clusters=3"):
        prepare.run(settings, {}, tmp_path, silent)
    assert not list(tmp_path.glob("all"))


def test_more_clusters_than_a_prepared_gallery_has_are_refused_before_any_stage_runs(
    tiny: Path, tmp_path: Path
) -> None:
    settings = settings_of(tiny / "tiny.yaml")
    execute(plan(settings, ["prepare"], tmp_path / "runs")[0], settings, silent)
    assert plan(settings, ["cluster-eval"], tmp_path / "runs")[0].done
    path = tmp_path / "many.yaml"
    path.write_text("pipeline: {stages: [train-ae, cluster-eval], matrix: {evaluation.clusters: [2, 12]}}\n")
    overrides = [f"data.manifest={tiny / 'tiny.yaml'}", "data.photo_size=16", "cnn.input_size=16", "data.mask_size=8"]
    with pytest.raises(UsageError, match=r"gallery has 11 photos, fewer than evaluation.clusters=12"):
        run_pipeline(read_pipeline(path, overrides), tmp_path / "runs", lambda line: None)
    assert [made.name for made in (tmp_path / "runs" / "artifacts").iterdir()] == ["prepare"]
    assert not (tmp_path / "runs" / "history").exists()


def test_only_changed_photos_are_read_again(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tiny / "tiny.yaml")
    first = prepare.sources(settings)
    read = []

    def counting(path: Path) -> str:
        read.append(path.name)
        return file_digest(path)

    monkeypatch.setattr(outside_files, "file_digest", counting)
    assert prepare.sources(settings) == first
    assert not [name for name in read if name.endswith(".png")]
    os.utime(tiny / "photos" / "7.png", (3_000_000, 3_000_000))
    now = time.time()
    os.utime(tiny / "photos" / "8.png", (now, now))
    for _ in range(2):  # one changed just now is never taken from the cache
        read.clear()
        assert prepare.sources(settings) == first
    assert [name for name in read if name.endswith(".png")] == ["8.png"]


def test_annotation_files_are_kept_too_and_an_interrupted_reading_goes_on(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.utime(tiny / "all.json", (1_000_000, 1_000_000))
    settings = settings_of(tiny / "tiny.yaml")
    read: list[str] = []

    def counting(path: Path) -> str:
        if len(read) == 5:
            raise KeyboardInterrupt
        read.append(path.name)
        return file_digest(path)

    monkeypatch.setattr(outside_files, "file_digest", counting)
    with pytest.raises(KeyboardInterrupt):
        prepare.sources(settings)
    first, read[:] = list(read), []
    assert first[0] == "all.json"
    with pytest.raises(KeyboardInterrupt):
        prepare.sources(settings)
    assert not {*first} & {*read}


def test_a_long_reading_shows_a_bar(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(tiny / "tiny.yaml")
    monkeypatch.setattr(outside_files, "_MANY", 19)
    prepare.sources(settings)
    shown = capsys.readouterr()
    assert "read photos" in shown.err and "20/20" in shown.err and not shown.out
    prepare.sources(settings)
    assert not capsys.readouterr().err


def test_a_cache_that_cannot_be_used_only_costs_time(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tiny / "tiny.yaml")
    first = prepare.sources(settings)
    for cache in Path(os.environ["AERET_CACHE"]).rglob("*.json"):
        cache.write_text("{")
    assert prepare.sources(settings) == first
    monkeypatch.setenv("AERET_CACHE", str(tiny / "all.json"))  # no folder
    assert prepare.sources(settings) == first


def test_missing_files_are_named(tiny: Path) -> None:
    (tiny / "all.json").unlink()
    with pytest.raises(DataError, match=r"files of 'tiny' are missing:\n.*all.json"):
        prepare.sources(settings_of(tiny / "tiny.yaml"))


def test_a_generated_collection_is_decided_by_its_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AERET_CACHE", str(tmp_path))
    assert set(prepare.sources(settings_of("scenes"))) == {"manifest", "photos"}
    assert not list(tmp_path.iterdir())  # nothing is drawn to plan a run


def test_real_photos(real_data: Path, tmp_path: Path) -> None:
    """Twelve photos of MSRC: the stored photo is the file, shrunk."""
    source = real_data / "msrc23"
    content = json.loads((source / "annotations" / "instances_val.json").read_text())
    content["images"] = content["images"][:12]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [item for item in content["annotations"] if item["image_id"] in kept]
    (tmp_path / "all.json").write_text(json.dumps(content))
    (tmp_path / "tiny.yaml").write_text(
        MANIFEST.replace("photos: photos", f"photos: {source / 'images'}").partition("subsets")[0]
    )
    out = tmp_path / "out"
    out.mkdir()
    prepare.run(settings_of(tmp_path / "tiny.yaml", "data.validation_fraction=0"), {}, out, silent)
    prepared = Prepared.open(out)
    for name in ("train", "query"):
        split = prepared.split(name)
        for position, path in enumerate(split.paths):
            with Image.open(path) as image:
                square = np.asarray(image.convert("RGB").resize((16, 16), Image.Resampling.BICUBIC)).astype(int)
            assert abs(split.photos([position])[0] - square).mean() < 1.5
        assert (split.labels | ~split.masks.dense(np.arange(len(split))).any(axis=(1, 2))).all()
