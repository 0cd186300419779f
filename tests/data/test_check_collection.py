"""One fault planted at a time in how the files of a collection go together: the check names it, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from aeret.data.check_collection import check_manifest
from aeret.data.manifest import load_manifest
from aeret.data.rules import RULES

MANIFEST = """\
name: m
description: d
sources:
  train: {photos: photos, annotations: train.json}
  val: {photos: photos, annotations: val.json}
splits: {train: train, query: {source: val, ids: queries.txt}, gallery: {source: val, ids: rest.txt}}
subsets: {few: {annotations: few.json}}
"""

Plant = Callable[[Path], Any]


def edit(name: str, old: str, new: str) -> Plant:
    def plant(folder: Path) -> None:
        path = folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return plant


def write(name: str, text: str) -> Plant:
    return lambda folder: (folder / name).write_text(text)


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Photos 1 to 4 are train, 5 to 8 val, of which 5 and 6 ask."""
    (tmp_path / "photos").mkdir()
    for source, ids in (("train", range(1, 5)), ("val", range(5, 9))):
        corners = [0, 0, 6, 0, 6, 6]
        content = {
            "images": [{"id": i, "file_name": f"{i}.png", "width": 9, "height": 9} for i in ids],
            "annotations": [{"id": i, "image_id": i, "category_id": 1, "segmentation": [corners]} for i in ids],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "cup", "supercategory": "kitchen"}],
        }
        (tmp_path / f"{source}.json").write_text(json.dumps(content))
        for number in ids:
            Image.new("RGB", (9, 9)).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "queries.txt").write_text("5\n6\n")
    (tmp_path / "rest.txt").write_text("7\n8\n")
    (tmp_path / "few.json").write_text('{"images": [{"id": 5}]}')
    (tmp_path / "m.yaml").write_text(MANIFEST)
    return tmp_path


# fault -> (how it is planted, [(rule, file, where, what the problem names)])
FAULTS: dict[str, tuple[Plant, list[tuple[str, str, str, str]]]] = {
    "shared by split": (
        write("rest.txt", "6\n7\n8"),
        [("shared-photo", "m.yaml", "splits 'query' and 'gallery'", "share 1 photo id(s): 6")],
    ),
    "shared by source": (
        edit("train.json", '"file_name": "4.png"', '"file_name": "7.png"'),
        [("shared-photo", "m.yaml", "splits 'train' and 'gallery'", "file name(s): 7.png")],
    ),
    "empty split": (
        edit("m.yaml", "train: train,", 'train: {source: train, part: "0:0.000001"},'),
        [("empty-split", "m.yaml", "split 'train'", "4 photos")],
    ),
    "category of another name": (
        edit("val.json", '"cup"', '"mug"'),
        [("category-conflict", "m.yaml", "sources 'train' and 'val'", "'mug' of 'kitchen'")],
    ),
    "category of another group": (
        edit("val.json", '"kitchen"', '"table"'),
        [("category-conflict", "m.yaml", "sources 'train' and 'val'", "'cup' of 'table'")],
    ),
    "category of another id": (
        edit("val.json", '{"id": 2, "name": "cup"', '{"id": 3, "name": "cup"'),
        [("duplicate-name", "m.yaml", "sources 'train' and 'val'", "category 2 in one, 3")],
    ),
    "no list of ids": (
        lambda folder: (folder / "rest.txt").unlink(),
        [("missing-file", "rest.txt", "split 'gallery'", "list of photo ids")],
    ),
    "ids that are none": (write("rest.txt", "7\n8.png"), [("bad-list", "rest.txt", "split 'gallery'", "'8.png'")]),
    "ids of no photo": (
        write("rest.txt", f"7\n77\n{10**30}"),
        [("bad-list", "rest.txt", "split 'gallery'", "77, 1000")],
    ),
    "ids that are no text": (
        lambda folder: (folder / "rest.txt").write_bytes(b"\xff"),
        [("bad-list", "rest.txt", "split 'gallery'", "is no text")],
    ),
    "no subset": (
        lambda folder: (folder / "few.json").unlink(),
        [("missing-file", "few.json", "subset 'few'", "annotation file")],
    ),
    "subset with two lists": (
        write("few.json", '{"images": [{"id": 5}], "images": []}'),
        [("bad-list", "few.json", "subset 'few'", "'images' is given more than once")],
    ),
    "subset that is none": (
        write("few.json", "[1]"),
        [("bad-list", "few.json", "subset 'few'", "not a COCO annotation file")],
    ),
    "subset of long ids": (
        write("few.json", f'{{"images": [{{"id": {10**30}}}]}}'),
        [("bad-list", "few.json", "subset 'few'", "not a COCO annotation file")],
    ),
    "no annotation file": (
        lambda folder: (folder / "val.json").unlink(),
        [("missing-file", "val.json", "source 'val'", "annotation file")],
    ),
    "no photo folder": (
        lambda folder: shutil.rmtree(folder / "photos"),
        [("missing-file", "photos", f"source {name!r}", "folder of photos") for name in ("train", "val")],
    ),
    "one photo of no name, so that its split is not known": (
        edit("val.json", '"5.png"', '"../5.png"'),
        [("bad-value", "val.json", "image 5", "file_name")],
    ),
    "cut off, so that its photos are not known": (
        lambda folder: (folder / "val.json").write_text((folder / "val.json").read_text()[:80]),
        [("truncated-json", "val.json", "", "")],
    ),
}


def test_a_sound_collection_has_no_finding(collection: Path) -> None:
    assert check_manifest(load_manifest(collection / "m.yaml")) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_names_what_is_planted_and_nothing_else(collection: Path, fault: str) -> None:
    plant, expected = FAULTS[fault]
    plant(collection)
    found = check_manifest(load_manifest(collection / "m.yaml"))
    assert [(finding.rule, Path(finding.file).name) for finding in found] == [
        (rule, file) for rule, file, *_ in expected
    ]
    for finding, (rule, _, where, problem) in zip(found, expected, strict=True):
        assert finding.where.startswith(where) and problem in finding.problem
        assert (finding.severity, finding.mend) == (RULES[rule].severity, RULES[rule].mend)


def test_all_faults_in_one_pass(collection: Path) -> None:
    for name in ("shared by split", "category of another name", "no subset"):
        FAULTS[name][0](collection)
    (collection / "photos" / "1.png").unlink()
    edit("train.json", '"category_id": 1', '"category_id": 9')(collection)
    edit("m.yaml", "val.json}", "val.json, urls: [http://host/a.zip]}")(collection)
    loaded = load_manifest(collection / "m.yaml")
    found = check_manifest(loaded)
    expected = ["unknown-category"] * 4 + ["missing-photo", "category-conflict", "missing-file", "shared-photo"]
    assert [finding.rule for finding in found] == expected
    assert found[-2].mend.startswith("run `aeret data fetch m`, or put it there")
    assert [finding.rule for finding in check_manifest(loaded, photos=False)] == [*expected[:4], *expected[5:]]


def test_leave_one_out_shares_photos(collection: Path) -> None:
    edit("m.yaml", "rest.txt", "queries.txt")(collection)
    assert check_manifest(load_manifest(collection / "m.yaml")) == []
