from __future__ import annotations

from pathlib import Path

import pytest

from aeret.data.manifest import BUILT_IN, built_in_manifests, load_manifest, provide
from aeret.errors import DataError

PLAIN = """\
name: holidays
description: photos
sources:
  all:
    photos: images
    annotations: all.json
splits:
  train: {source: all, part: "0:0.8"}
  query: {source: all, part: "0.8:0.9"}
  gallery: {source: all, part: "0.9:1"}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "holidays.yaml"
    path.write_text(text)
    return path


def test_paths_are_absolute_and_relative_to_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, PLAIN.replace("sources:", "root: data/../photos\nsources:", 1))
    monkeypatch.chdir(tmp_path)
    manifest = load_manifest("holidays.yaml")
    assert manifest.path == path
    assert manifest.root == tmp_path / "photos"
    assert manifest.sources["all"].photos == tmp_path / "photos" / "images"
    assert manifest.sources["all"].annotations == tmp_path / "photos" / "all.json"
    assert manifest.splits.train.part == (0.0, 0.8)
    assert not manifest.splits.leave_one_out
    assert load_manifest(path, root=tmp_path / "else").sources["all"].photos == tmp_path / "else" / "images"


def test_environment_variables_and_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, PLAIN.replace("sources:", "root: ${PHOTOS:-../none}/deep\nsources:", 1))
    monkeypatch.delenv("PHOTOS", raising=False)
    assert load_manifest(path).root == tmp_path.parent / "none" / "deep"
    monkeypatch.setenv("PHOTOS", "/somewhere")
    assert load_manifest(path).root == Path("/somewhere/deep")
    # A relative value is the user's, from where the user is.
    monkeypatch.setenv("PHOTOS", "rel")
    monkeypatch.chdir(tmp_path.parent)
    assert load_manifest(path).root == tmp_path.parent / "rel" / "deep"


def test_an_unset_variable_without_default_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHOTOS", raising=False)
    path = write(tmp_path, PLAIN.replace("sources:", "root: ${PHOTOS}\nsources:", 1))
    with pytest.raises(DataError, match=r"holidays.yaml.*PHOTOS is not set"):
        load_manifest(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    photos: images", "    foto: images", r"holidays\.yaml:5:5: sources\.all\.foto: there is no such key"),
        ("name: holidays", "names: holidays", r"names: there is no such key, did you mean 'name'"),
        ("train: {source: all", "train: {source: al", r"holidays\.yaml:7:1: splits: split 'train'.*Did you mean 'all'"),
        ('part: "0:0.8"', 'part: "0-0.8"', r"splits\.train\.part: expected \"from:to\""),
        ('part: "0:0.8"', 'part: "0.8:0.2"', r"expected 0 <= from < to <= 1"),
        ("    photos: images", "", r"sources\.all\.photos: Field required"),
        ("sources:", "path: x\nsources:", r"path: there is no such key"),
        ("sources:", "subsets: {all: {annotations: x.json}}\nsources:", r"a subset cannot be called 'all'"),
        ("all.json", "all.json\n    urls: [ftp://x/y.zip]", r"urls.*should match pattern"),
        ("all.json", "all.json\n    urls: ['http://host/..']", r"ends in a file name"),
        ("all.json", 'all.json\n    urls: ["http://host/a\\nb.zip"]', r"plain ASCII without spaces"),
        ("all.json", "all.json\n    urls: ['http://höst/a.zip']", r"plain ASCII"),
        ("all.json", "all.json\n    urls: ['http://a..b/a.zip']", r"expected https://host/path/file"),
        ("all.json", "all.json\n    urls: ['http:///a.zip']", r"expected https://host/path/file"),
        ("all.json", "all.json\n    urls: ['http://host:99999/a.zip']", r"expected https://host/path/file"),
        ("all.json", "all.json\n    urls: ['http://me:secret@host/a.zip']", r"expected https://host/path/file"),
        ("  all:", "  ../../ESCAPED: {photos: a, annotations: b}\n  all:", r"ESCAPED.*should match pattern"),
        ("  all:", "  Prepared.json: {photos: a, annotations: b}\n  all:", r"a name that aeret uses itself"),
        ("sources:", "subsets: {a/b: {annotations: x.json}}\nsources:", r"subsets.*should match pattern"),
        ("all.json", "all.json\n    urls: [{url: 'http://h/a.zip', sha256: abc}]", r"sha256.*should match pattern"),
        ("all.json", "all.json\n    urls: ['http://h/a.zip', 'http://g/a.zip']", r"'a.zip' is given twice"),
    ],
)
def test_mistakes_are_named_with_their_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PLAIN
    with pytest.raises(DataError, match=message):
        load_manifest(write(tmp_path, PLAIN.replace(old, new, 1)))


def test_unknown_manifests(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Did you mean 'scenes'"):
        load_manifest("scene")
    with pytest.raises(DataError, match="no such manifest file"):
        load_manifest(tmp_path / "none.yaml")


def test_built_in_manifests_load_by_name_and_use_no_path_of_one_machine() -> None:
    names = built_in_manifests()
    assert {"scenes", "coco2014", "coco2017", "coco_mix", "msrc23"} <= set(names)
    assert BUILT_IN.is_dir()
    for name, path in names.items():
        manifest = load_manifest(name)
        assert manifest.name == name == path.stem
        assert manifest.licence
        assert "root: ${AERET_" in path.read_text()


@pytest.mark.parametrize("year", ["2014", "2017"])
def test_coco_has_the_official_files(year: str) -> None:
    manifest = load_manifest(f"coco{year}")
    host = "http://images.cocodataset.org"
    assert {item.url for item in manifest.downloads} == {
        f"{host}/zips/train{year}.zip",
        f"{host}/zips/val{year}.zip",
        f"{host}/annotations/annotations_trainval{year}.zip",
    }
    assert manifest.sources["val"].annotations == manifest.root / "annotations" / f"instances_val{year}.json"
    assert manifest.splits.train.source == "train"
    assert manifest.splits.query.source == manifest.splits.gallery.source == "val"
    assert not manifest.splits.leave_one_out


def test_the_cache_folder_of_a_drawn_collection_says_what_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AERET_CACHE", str(tmp_path))
    manifest = load_manifest("scenes")
    assert manifest.generate is not None
    assert manifest.root.parent == tmp_path / "scenes"
    assert f"seed{manifest.generate.seed}" in manifest.root.name
    assert manifest.splits.leave_one_out


def test_provide_draws_what_is_to_be_drawn(tmp_path: Path) -> None:
    text = """\
name: few
description: drawn
root: cache
generate: {photos: 10, seed: 2, size: [48, 48]}
sources:
  train: {photos: images, annotations: annotations/instances_train.json}
  val: {photos: images, annotations: annotations/instances_val.json}
splits: {train: train, query: val, gallery: val}
"""
    manifest = load_manifest(write(tmp_path, text))
    provide(manifest, workers=1)
    assert len(list((manifest.root / "images").iterdir())) == 10
    assert manifest.root.parent == tmp_path / "cache"
    provide(manifest, workers=1)


def test_provide_names_what_is_missing_and_how_to_get_it(tmp_path: Path) -> None:
    path = write(tmp_path, PLAIN)
    with pytest.raises(DataError, match=r"all\.json\n  .*images\nPut the files there"):
        provide(load_manifest(path))
    path = write(tmp_path, PLAIN.replace("all.json", "all.json\n    urls: [http://host/a.zip]"))
    with pytest.raises(DataError, match="aeret data fetch holidays"):
        provide(load_manifest(path))
    (tmp_path / "images").mkdir()
    (tmp_path / "all.json").touch()
    provide(load_manifest(path))
