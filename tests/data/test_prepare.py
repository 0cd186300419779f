"""Preparing: right arrays, everything left out counted, any kill survived, clear refusals."""

from __future__ import annotations

import csv
import errno
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aeret.data import photo_store
from aeret.data.manifest import load_manifest
from aeret.data.photos import PhotoFile, decode_photo
from aeret.data.prepare import prepare
from aeret.data.prepared import Category, Prepared
from aeret.data.transforms import whole_boxes
from aeret.errors import DataError, ResourceError, UnknownNameError
from aeret.progress import Step, silent
from aeret.rng import generator
from aeret.settings import DataSettings

SIDE, CELLS = 64, 16  # pixels of the photos, cells of their masks: a cell is 4 pixels
SETTINGS = DataSettings(photo_size=32, mask_size=CELLS, validation_fraction=0.25, workers=1)

TRAIN_CATEGORIES = [(30, "cup"), (10, "cat"), (20, "car")]  # not by id, and other ones than val's
VAL_CATEGORIES = [(10, "cat"), (20, "car"), (40, "kite")]

Boxes = dict[int, list[tuple[int, int, int, int, int]]]
"""Photo id to (category id, first cell row, first cell column, rows, columns) of its annotations."""


def write_source(folder: Path, name: str, categories: list[tuple[int, str]], boxes: Boxes, **changes: Any) -> None:
    """Write photos and a COCO file whose masks are rectangles of whole cells."""
    (folder / name).mkdir(parents=True)
    annotations: list[dict[str, Any]] = []
    for photo, items in boxes.items():
        pixels = generator(photo, "pixels").integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{photo}.png", compress_level=1)
        for category, y, x, height, width in items:
            corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": photo,
                    "category_id": category,
                    "segmentation": [[4.0 * value for corner in corners for value in corner]],
                    "iscrowd": 0,
                }
            )
    images = [
        {"id": photo, "file_name": f"{photo}.png", "width": SIDE, "height": SIDE, "sharp": photo % 2 == 0}
        for photo in boxes
    ]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": text, "supercategory": "thing"} for number, text in categories],
    }
    (folder / f"{name}.json").write_text(json.dumps(content | changes))


MANIFEST = """
name: squares
description: rectangles
sources:
  train: {photos: train, annotations: train.json}
  val: {photos: val, annotations: val.json}
splits: {train: train, query: val, gallery: val}
subsets:
  few: {annotations: few.json}
"""


def some_boxes(photos: range, categories: list[tuple[int, str]]) -> Boxes:
    rng = generator(photos.start, "boxes")
    return {
        photo: [
            (
                categories[rng.integers(len(categories))][0],
                *rng.integers(0, 8, 2).tolist(),
                *rng.integers(1, 9, 2).tolist(),
            )
            for _ in range(rng.integers(1, 4))
        ]
        for photo in photos
    }


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """A folder with a manifest, 24 train photos and 8 val photos."""
    folder = tmp_path / "squares"
    write_source(folder, "train", TRAIN_CATEGORIES, some_boxes(range(100, 124), TRAIN_CATEGORIES))
    write_source(folder, "val", VAL_CATEGORIES, some_boxes(range(500, 508), VAL_CATEGORIES))
    (folder / "few.json").write_text(json.dumps({"images": [{"id": 505}, {"id": 501}, {"id": 9}]}))
    (folder / "manifest.yaml").write_text(MANIFEST)
    return folder


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | changes))


def run(folder: Path, out: Path, settings: DataSettings = SETTINGS, progress: Any = silent) -> dict[str, Any]:
    out.mkdir(exist_ok=True)
    return prepare(load_manifest(folder / "manifest.yaml"), settings, 0, out, progress)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def expected_mask(boxes: list[tuple[int, int, int, int, int]], categories: list[int]) -> np.ndarray:
    mask = np.zeros((CELLS, CELLS, len(categories)), np.uint8)
    for category, y, x, height, width in boxes:
        mask[y : y + height, x : x + width, categories.index(category)] = 1
    return mask


def test_arrays_hold_the_collection(squares: Path, tmp_path: Path) -> None:
    run(squares, tmp_path / "out")
    prepared = Prepared.open(tmp_path / "out")
    assert prepared.categories == tuple(
        Category(number, text, "thing") for number, text in [(10, "cat"), (20, "car"), (30, "cup"), (40, "kite")]
    )
    assert (prepared.photo_size, prepared.mask_size, prepared.leave_one_out) == (32, CELLS, True)
    boxes = some_boxes(range(100, 124), TRAIN_CATEGORIES) | some_boxes(range(500, 508), VAL_CATEGORIES)
    seen = []
    for name, source in [("train", "train"), ("validation", "train"), ("query", "val"), ("gallery", "val")]:
        split = prepared.split(name)
        assert len(split) == len(split.rows) == len(split.masks) == len(split.labels) == len(split.mapped)
        dense = split.masks.dense(np.arange(len(split)))
        photos = split.photos(np.arange(len(split))[::-1])[::-1]
        for position, photo in enumerate(split.photo_ids.tolist()):
            mask = expected_mask(boxes[photo], [10, 20, 30, 40])
            np.testing.assert_array_equal(dense[position], mask)
            np.testing.assert_array_equal(split.labels[position], mask.any(axis=(0, 1)))
            file = PhotoFile(str(squares / source / f"{photo}.png"), photo)
            np.testing.assert_array_equal(photos[position], decode_photo(file, 32))
            assert split.file_names[position] == f"{photo}.png"
            assert split.paths[position] == file.path
        assert split.sizes.tolist() == [[SIDE, SIDE]] * len(split)
        np.testing.assert_array_equal(split.flags["sharp"], split.photo_ids % 2 == 0)
        seen.append(split.photo_ids.tolist())
    train, validation, query, gallery = seen
    assert sorted(train + validation) == list(range(100, 124))
    assert validation and train == sorted(train)
    assert query == gallery == list(range(500, 508))
    assert prepared.split("query").rows.tolist() == prepared.split("gallery").rows.tolist()
    np.testing.assert_array_equal(
        prepared.split("query").subsets["few"], [photo in {501, 505} for photo in range(500, 508)]
    )
    assert prepared.split("train").subsets == {}
    assert not list((tmp_path / "out").rglob("*.parts")) and not list((tmp_path / "out").rglob("*.tmp"))


def test_metrics_and_list_of_what_was_left_out(squares: Path, tmp_path: Path) -> None:
    boxes: Boxes = {
        500: [(10, 0, 0, 2, 2), (20, 4, 4, 4, 4)],
        501: [],  # no annotation
        502: [(10, 0, 0, 3, 3)],  # only a crowd, made one below
        503: [(40, 2, 2, 6, 6), (20, 0, 0, 1, 1)],  # the second shrunk to vanish, below
        504: [(40, 2, 2, 6, 6)],  # made maskless below
    }
    (squares / "val.json").unlink()
    for path in (squares / "val").iterdir():
        path.unlink()
    (squares / "val").rmdir()
    write_source(squares, "val", VAL_CATEGORIES, boxes)
    annotations = json.loads((squares / "val.json").read_text())["annotations"]
    annotations[2]["iscrowd"] = 1
    annotations[4]["segmentation"] = [[0.0, 0.0, 1.0, 0.0, 1.0, 1.0]]
    del annotations[5]["segmentation"]
    edit(squares / "val.json", annotations=annotations)

    metrics = run(squares, tmp_path / "out")
    assert metrics["photos"]["query"] == metrics["photos"]["gallery"] == 3
    assert metrics["sources"]["val"] == {
        "photos_in_file": 5,
        "photos": 3,
        "photos_in_no_split": 0,
        "photos_dropped_unlabelled": 2,
        "annotations": 5,
        "annotations_without_mask": 1,
        "crowds_skipped": 0,  # the crowd is of a dropped photo
        "mask_planes": 3,
        "mask_planes_vanished": 1,
        "labels_per_photo": 1.6667,
    }
    assert metrics["subsets"] == {"few": {"photos_in_file": 3, "queries": 0}}
    json.dumps(metrics, allow_nan=False)
    with (tmp_path / "out" / "dropped.csv").open() as file:
        rows = [
            (row["photo_id"], row["category"], row["reason"]) for row in csv.DictReader(file) if row["source"] == "val"
        ]
    assert rows == [
        ("501", "", "photo without a kept annotation"),
        ("502", "", "photo without a kept annotation"),
        ("503", "car", "mask covers too little of any cell"),
    ]

    kept = run(squares, tmp_path / "kept", SETTINGS.model_copy(update={"unlabelled": "keep", "crowd": "include"}))
    assert kept["sources"]["val"]["photos"] == 5
    split = Prepared.open(tmp_path / "kept").split("query")
    assert split.labels.sum(axis=1).tolist() == [2, 0, 1, 2, 1]
    assert split.masks.dense([2]).sum() == 9

    skipped = run(squares, tmp_path / "skipped", SETTINGS.model_copy(update={"unlabelled": "keep"}))
    assert skipped["sources"]["val"]["crowds_skipped"] == 1
    assert not Prepared.open(tmp_path / "skipped").split("query").masks.dense([2]).any()


def test_parts_of_one_source_are_stored_once(squares: Path, tmp_path: Path) -> None:
    (squares / "manifest.yaml").write_text(
        MANIFEST.replace(
            "query: val, gallery: val",
            "query: {source: train, part: '0:0.2'}, gallery: {source: train, part: '0.2:0.5'}",
        )
        .replace("{train: train", "{train: {source: train, part: '0.6:1'}")
        .replace("subsets:\n  few: {annotations: few.json}\n", "")
    )
    metrics = run(squares, tmp_path / "out")
    prepared = Prepared.open(tmp_path / "out")
    ids = [
        photo
        for name in ("train", "validation", "query", "gallery")
        for photo in prepared.split(name).photo_ids.tolist()
    ]
    counts = metrics["sources"]["train"]
    assert len(set(ids)) == len(ids) == counts["photos"] == sum(metrics["photos"].values())
    assert counts["photos_in_no_split"] == 24 - len(ids) > 0
    assert not prepared.leave_one_out
    assert list(metrics["sources"]) == ["train"]


def test_number_of_processes_changes_nothing(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_store, "_CHUNK_PHOTOS", 5)
    monkeypatch.setattr("aeret.data.photos._INLINE", 0)
    run(squares, tmp_path / "one")
    run(squares, tmp_path / "three", SETTINGS.model_copy(update={"workers": 3}))
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


KILLED = """
import sys
from contextlib import contextmanager
from pathlib import Path

@contextmanager
def progress(title, total, unit="item", done=0):
    def step(count):
        print(title, flush=True)
        sys.stdin.readline()  # waits for the test: to go on, or to be killed
    yield step

if __name__ == "__main__":
    from aeret.data import photo_store, photos
    from aeret.data.manifest import load_manifest
    from aeret.data.prepare import prepare
    from aeret.settings import DataSettings

    photo_store._CHUNK_PHOTOS = 4
    photos._INLINE = 0
    settings = DataSettings(photo_size=32, mask_size=16, validation_fraction=0.25, workers=int(sys.argv[3]))
    prepare(load_manifest(sys.argv[1]), settings, 0, Path(sys.argv[2]), progress)
"""


@pytest.mark.parametrize(
    ("workers", "kills"),
    [
        (1, [(2, "decode train photos"), (5, "decode val photos")]),
        (2, [(4, "decode train photos"), (6, "rasterise val masks")]),
    ],
)
def test_a_killed_run_continues_to_the_same_bytes(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, kills: list[tuple[int, str]]
) -> None:
    monkeypatch.setattr(photo_store, "_CHUNK_PHOTOS", 4)
    script, out = tmp_path / "killed.py", tmp_path / "out"
    script.write_text(KILLED)
    out.mkdir()
    for steps, at in kills:  # killed at that step of that bar, each time a bit later
        command = [sys.executable, str(script), str(squares / "manifest.yaml"), str(out), str(workers)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            for step in range(steps):
                line = process.stdout.readline()
                if step + 1 < steps:
                    process.stdin.write("\n")
                    process.stdin.flush()
            assert line == f"{at}\n"
            process.kill()
        assert process.returncode == -signal.SIGKILL
        assert not (out / "prepared.json").exists()
        with pytest.raises(DataError, match="aeret stage prepare"):
            Prepared.open(out)

    bars: dict[str, tuple[int, int]] = {}

    @contextmanager
    def watching(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Step]:
        bars[title] = (done, total)
        yield lambda count: None

    resumed = run(squares, out, progress=watching)
    unbroken = run(squares, tmp_path / "unbroken")
    assert bars["decode train photos"] == (24, 24)
    assert bars["decode val photos"] == ((4, 8) if workers == 1 else (8, 8))
    assert bars["rasterise train masks"] == ((0, 24) if workers == 1 else (24, 24))
    assert resumed == unbroken
    assert contents(out) == contents(tmp_path / "unbroken")


def test_what_a_kill_cut_off_does_not_count(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part cut off, and pixels of a chunk that no part names, are done again."""
    monkeypatch.setattr(photo_store, "_CHUNK_PHOTOS", 4)
    run(squares, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(Prepared, "save", lambda self, folder: None)
        run(squares, tmp_path / "out")
    parts, store = sorted((tmp_path / "out/train/photos.parts").glob("*.npz")), tmp_path / "out/train/photos.npy"
    assert len(parts) == 6
    parts[3].write_bytes(parts[3].read_bytes()[:50])
    parts[4].unlink()
    photos = np.load(store, mmap_mode="r+")
    photos[12:20] = 77
    photos.flush()
    run(squares, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_photo_that_changed_is_decoded_again(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Prepared, "save", lambda self, folder: None)
        run(squares, tmp_path / "out")
    Image.new("RGB", (SIDE, SIDE), "red").save(squares / "val" / "503.png")
    run(squares, tmp_path / "out")
    assert (Prepared.open(tmp_path / "out").split("query").photos([3]) == [255, 0, 0]).all()


def test_missing_photos_are_all_named_before_any_work(squares: Path, tmp_path: Path) -> None:
    (squares / "train" / "103.png").unlink()
    (squares / "val" / "507.png").unlink()
    with pytest.raises(DataError, match=r"2 photo file.*\n.*103.png \(photo 103\)\n.*507.png \(photo 507\)"):
        run(squares, tmp_path / "out")
    assert not (tmp_path / "out/train/photos.npy").exists()


def test_a_truncated_photo_is_named(squares: Path, tmp_path: Path) -> None:
    path = squares / "val" / "504.png"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match=r"504.png \(photo 504\): cannot be decoded to its end"):
        run(squares, tmp_path / "out")
    assert not (tmp_path / "out/prepared.json").exists()


def test_a_photo_of_another_size_is_named(squares: Path, tmp_path: Path) -> None:
    Image.new("RGB", (SIDE, SIDE - 1)).save(squares / "val" / "504.png")
    with pytest.raises(DataError, match=r"504.png \(photo 504\): is 64 x 63"):
        run(squares, tmp_path / "out")


def test_too_little_disk_is_said_before_any_work(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 5 << 20

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage)
    with pytest.raises(ResourceError, match=r"16\.\d MiB are needed to prepare .*, 5\.0 MiB are free"):
        run(squares, tmp_path / "out")
    assert not (tmp_path / "out/train").exists()


def test_disk_need_is_at_least_what_is_written(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimate (without the spare room) covers the bytes written, and is not wildly above them."""
    settings = SETTINGS.model_copy(update={"photo_size": 128})
    written = run(squares, tmp_path / "first", settings)["bytes"] + (16 << 20)

    class Usage:
        free = written - 20_000  # parquet's fixed cost and JSON are not in the estimate, only in the spare room

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage)
    with pytest.raises(ResourceError):
        run(squares, tmp_path / "second", settings)
    Usage.free = int(written * 1.05)
    run(squares, tmp_path / "second", settings)


def test_a_resume_that_writes_no_more_needs_no_more_disk(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SETTINGS.model_copy(update={"mask_size": 128})
    with monkeypatch.context() as patch:
        patch.setattr(Prepared, "save", lambda self, folder: None)
        run(squares, tmp_path / "out", settings)

    class Usage:
        free = (16 << 20) + 50_000

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage)
    with pytest.raises(ResourceError):
        run(squares, tmp_path / "fresh", settings)
    run(squares, tmp_path / "out", settings)


def test_a_disk_that_fills_up(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(photo_store, "decode_changed", full)
    with pytest.raises(ResourceError, match="the disk is full; free some room, the same command resumes"):
        run(squares, tmp_path / "out")


def test_splits_that_share_photos_are_refused(squares: Path, tmp_path: Path) -> None:
    (squares / "manifest.yaml").write_text(MANIFEST.replace("train: train, query", "train: val, query"))
    with pytest.raises(DataError, match="'train' and 'query' share 8 photo id"):
        run(squares, tmp_path / "out")


def test_one_category_id_with_two_names_is_refused(squares: Path, tmp_path: Path) -> None:
    categories = [
        {"id": number, "name": text, "supercategory": "thing"}
        for number, text in [(10, "dog"), (20, "car"), (40, "kite")]
    ]
    edit(squares / "val.json", categories=categories)
    with pytest.raises(DataError, match=r"category 10 is 'dog' of 'thing', but in .*train.json it is 'cat' of 'thing'"):
        run(squares, tmp_path / "out")


def test_photos_are_held_out_of_those_that_are_kept(squares: Path, tmp_path: Path) -> None:
    """What the division holds out of all 24 photos has no label."""
    settings = SETTINGS.model_copy(update={"unlabelled": "keep"})
    run(squares, tmp_path / "all", settings)
    held_out = Prepared.open(tmp_path / "all").split("validation").photo_ids.tolist()
    annotations = json.loads((squares / "train.json").read_text())["annotations"]
    edit(squares / "train.json", annotations=[item for item in annotations if item["image_id"] not in held_out])
    metrics = run(squares, tmp_path / "some")
    prepared = Prepared.open(tmp_path / "some")
    assert metrics["sources"]["train"]["photos_dropped_unlabelled"] == len(held_out)
    assert len(prepared.split("validation")) > 0
    assert len(prepared.split("validation")) + len(prepared.split("train")) == 24 - len(held_out)


def test_a_split_without_any_label_is_refused(squares: Path, tmp_path: Path) -> None:
    edit(squares / "val.json", annotations=[])
    with pytest.raises(DataError, match=r"split 'query' has 8 photo.*none of them"):
        run(squares, tmp_path / "out")


def test_damaged_prepared_data_is_refused(squares: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(squares, out, SETTINGS.model_copy(update={"validation_fraction": 0.0}))
    prepared = Prepared.open(out)
    assert len(prepared.split("validation")) == 0
    assert prepared.split("validation").photos([]).shape == (0, 32, 32, 3)
    with pytest.raises(UnknownNameError, match="Did you mean 'train'"):
        prepared.split("trian")
    np.save(out / "val" / "labels.npy", np.zeros((2, 1), np.uint8))
    with pytest.raises(DataError, match="prepare again"):
        prepared.split("query")
    (out / "val" / "photos.npy").write_bytes(b"no array")
    with pytest.raises(DataError, match="prepare again"):
        prepared.split("query")
    (out / "prepared.json").write_text("{}")
    with pytest.raises(DataError, match="is damaged"):
        Prepared.open(out)
    (out / "prepared.json").write_text('{"version": 99}')
    with pytest.raises(DataError, match="version 99"):
        Prepared.open(out)


def test_reading_photos_keeps_little_resident(squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(squares, tmp_path / "out")
    split = Prepared.open(tmp_path / "out").split("train")
    before = split.photos(slice(0, 4))
    monkeypatch.setattr("aeret.data.prepared._RESIDENT", 0)
    np.testing.assert_array_equal(split.photos([0, 1, 2, 3]), before)  # releases the pages
    np.testing.assert_array_equal(split.photos([3, 2]), before[[3, 2]])  # and they come back
    size = before.shape[1]
    whole = split.crops(np.array([1, 3]), whole_boxes(2), np.array([False, True]), size)  # releases them too
    np.testing.assert_array_equal(whole, [before[1], before[3][:, ::-1]])
    released = []
    monkeypatch.setattr("aeret.data.prepared._release", released.append)
    monkeypatch.setattr("aeret.data.prepared._RESIDENT", 3 * before[0].nbytes)
    for _ in range(4):  # what the crops read counts, not what they give
        split.crops(np.array([1, 3]), whole_boxes(2), np.array([False, True]), 2)
    assert len(released) == 2
