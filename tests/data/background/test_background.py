"""Removing backgrounds: the right cells, a control as large, the same with any number of processes, after any kill."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aeret.data.background import FOREGROUNDS
from aeret.data.background.fills import FILLS
from aeret.data.background.random_mask import of_area
from aeret.data.background.removal import mean_colour
from aeret.data.manifest import load_manifest
from aeret.data.photos import PhotoFile, decode_photo
from aeret.data.prepare import prepare
from aeret.data.prepared import Prepared
from aeret.errors import UsageError
from aeret.progress import silent
from aeret.rng import generator
from aeret.settings import DataSettings

SIDE = 32
MANIFEST = """
name: squares
description: rectangles
sources:
  train: {photos: train, annotations: train.json}
  val: {photos: val, annotations: val.json}
splits: {train: train, query: {source: val, part: "0:0.5"}, gallery: {source: val, part: "0.5:1"}}
"""


def rectangle(photo: int) -> tuple[slice, slice]:
    y, x, height, width = generator(photo, "place").integers([2, 2, 6, 6], [12, 12, 16, 16]).tolist()
    return slice(y, y + height), slice(x, x + width)


def write_source(folder: Path, name: str, photos: range) -> None:
    (folder / name).mkdir(parents=True)
    annotations = []
    for photo in photos:
        pixels = generator(photo, "pixels").integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{photo}.png")
        y, x = rectangle(photo)
        corners = [x.start, y.start, x.stop, y.start, x.stop, y.stop, x.start, y.stop]
        annotations.append(
            {"id": photo, "image_id": photo, "category_id": 1 + photo % 2, "segmentation": [corners], "iscrowd": 0}
        )
    content = {
        "images": [{"id": each, "file_name": f"{each}.png", "width": SIDE, "height": SIDE} for each in photos],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cup", "supercategory": "x"}, {"id": 2, "name": "cat", "supercategory": "x"}],
    }
    (folder / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of noise; each has one thing, a rectangle of whole pixels."""
    folder = tmp_path_factory.mktemp("squares")
    write_source(folder, "train", range(100, 112))
    write_source(folder, "val", range(500, 516))
    (folder / "manifest.yaml").write_text(MANIFEST)
    return folder


def run(folder: Path, out: Path, **settings: Any) -> tuple[dict[str, Any], Prepared]:
    out.mkdir(parents=True, exist_ok=True)
    chosen = DataSettings(**{"photo_size": SIDE, "mask_size": 16, "validation_fraction": 0, "workers": 1} | settings)
    metrics = prepare(load_manifest(folder / "manifest.yaml"), chosen, 0, out, silent)
    return metrics, Prepared.open(out)


def originals(split: Any) -> np.ndarray:
    return np.stack([decode_photo(PhotoFile(path, 0), SIDE) for path in split.paths])


@pytest.mark.parametrize("fill", ["mean", "black", "blur"])
def test_the_oracle_removes_what_no_mask_covers(squares: Path, tmp_path: Path, fill: str) -> None:
    metrics, prepared = run(squares, tmp_path / "out", background="mask", background_fill=fill)
    files = [PhotoFile(str(squares / "train" / f"{photo}.png"), photo) for photo in range(100, 112)]
    colour = mean_colour(files, 1)
    everything = np.stack([decode_photo(file, SIDE) for file in files])
    np.testing.assert_array_equal(colour, everything.mean(axis=(0, 1, 2)).round())
    for name in ("train", "query", "gallery"):
        split = prepared.split(name)
        photos = split.photos(slice(None))
        for photo_id, before, after in zip(split.photo_ids.tolist(), originals(split), photos, strict=True):
            expected = FILLS[fill](before, colour).copy()
            expected[rectangle(photo_id)] = before[rectangle(photo_id)]
            np.testing.assert_array_equal(after, expected)
    counts = metrics["sources"]["val"]
    assert (counts["backgrounds_removed"], counts["backgrounds_not_found"]) == (16, 0)
    with Image.open(tmp_path / "out" / "background.png") as sheet:
        assert sheet.size[0] > 8 * SIDE


def test_labels_and_masks_stay_and_keep_writes_what_it_wrote(squares: Path, tmp_path: Path) -> None:
    kept_metrics, kept = run(squares, tmp_path / "keep")
    _, masked = run(squares, tmp_path / "mask", background="mask")
    for name in ("query", "gallery"):
        one, two = kept.split(name), masked.split(name)
        np.testing.assert_array_equal(one.photos(slice(None)), originals(one))
        np.testing.assert_array_equal(one.labels, two.labels)
        np.testing.assert_array_equal(one.masks.bits, two.masks.bits)
    assert not (tmp_path / "keep" / "background.png").exists()
    assert "backgrounds_removed" not in kept_metrics["sources"]["val"]


def test_queries_alone_leave_gallery_and_train_as_they_are(squares: Path, tmp_path: Path) -> None:
    metrics, prepared = run(squares, tmp_path / "out", background="mask", background_splits="query")
    for name in ("train", "gallery"):
        np.testing.assert_array_equal(prepared.split(name).photos(slice(None)), originals(prepared.split(name)))
    query = prepared.split("query")
    assert (query.photos(slice(None)) != originals(query)).any(axis=(1, 2, 3)).all()
    assert metrics["sources"]["val"]["backgrounds_removed"] == len(query)
    assert metrics["sources"]["train"]["backgrounds_removed"] == 0


def test_the_control_keeps_as_much_in_another_place(squares: Path, tmp_path: Path) -> None:
    _, prepared = run(squares, tmp_path / "out", background="random-mask", background_fill="black")
    elsewhere = 0
    for name in ("train", "query", "gallery"):
        split = prepared.split(name)
        seen = (split.photos(slice(None)) == originals(split)).all(axis=-1)
        for photo_id, cells in zip(split.photo_ids.tolist(), seen, strict=True):
            own = np.zeros((SIDE, SIDE), bool)
            own[rectangle(photo_id)] = True
            assert cells.sum() == own.sum()  # no pixel of the noise is black
            elsewhere += bool((cells & ~own).sum() > 0.1 * own.sum())
    assert elsewhere > 20


@pytest.mark.parametrize("way", ["random-mask", "grabcut"])
def test_processes_and_kills_change_no_byte(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    if way == "grabcut":
        pytest.importorskip("cv2")
    monkeypatch.setattr("aeret.data.photo_store._CHUNK_PHOTOS", 4)
    whole, _ = run(squares, tmp_path / "whole", background=way)
    monkeypatch.setattr("aeret.data.photos._INLINE", 0)

    class Killed(Exception):
        pass

    def stops(*_: object) -> None:
        raise Killed

    monkeypatch.setattr("aeret.data.prepare.write_sheet", stops)
    with pytest.raises(Killed):
        run(squares, tmp_path / "out", background=way, workers=2)
    parts = sorted((tmp_path / "out/val/photos.parts").glob("*.npz"))
    for path in parts[2:]:
        path.unlink()
    monkeypatch.undo()
    monkeypatch.setattr("aeret.data.photo_store._CHUNK_PHOTOS", 4)
    resumed, _ = run(squares, tmp_path / "out", background=way)
    assert resumed["sources"] == whole["sources"]
    for name in ("train", "val"):
        assert (tmp_path / "out" / name / "photos.npy").read_bytes() == (
            tmp_path / "whole" / name / "photos.npy"
        ).read_bytes()


def test_a_store_begun_with_another_background_is_not_continued(squares: Path, tmp_path: Path) -> None:
    from aeret.data.photo_store import PhotoJob, write_photos

    files = [PhotoFile(str(squares / "train" / f"{photo}.png"), photo) for photo in range(100, 112)]

    class Inverted:
        identity = "inverted"

        def of_chunk(self, start: int, stop: int) -> Any:
            return lambda photos: (255 - photos, [1])

    def write(changes: Any) -> list[int]:
        job = PhotoJob(files, SIDE, changes)
        return write_photos(tmp_path / "photos.npy", tmp_path / "parts", job, 1, silent, "").tolist()

    assert write(None) == []
    before = np.load(tmp_path / "photos.npy")
    assert write(Inverted()) == [1]
    np.testing.assert_array_equal(np.load(tmp_path / "photos.npy"), 255 - before)
    assert write(Inverted()) == [1]  # remembered, not decoded again


def test_grabcut_finds_a_thing_and_gives_up_on_a_plain_photo() -> None:
    pytest.importorskip("cv2")
    find = FOREGROUNDS["grabcut"].find
    rng = np.random.default_rng(0)
    photo = np.full((64, 64, 3), (30, 90, 200), np.uint8)
    thing = np.zeros((64, 64), bool)
    thing[20:46, 16:40] = True
    photo[thing] = (220, 60, 20)
    photo = np.clip(photo + rng.integers(-12, 13, photo.shape), 0, 255).astype(np.uint8)
    found = find(photo, None, None, 3)
    assert found is not None
    assert (found & thing).sum() / (found | thing).sum() > 0.95
    again = find(photo, None, None, 3)
    assert again is not None
    np.testing.assert_array_equal(again, found)
    assert find(np.full((64, 64, 3), 7, np.uint8), None, None, 3) is None


def test_grabcut_without_opencv_says_what_to_install(
    squares: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UsageError, match=r"pip install 'aeret\[grabcut\]'"):
        run(squares, tmp_path / "out", background="grabcut")


def test_queries_that_are_the_gallery_cannot_lose_it_alone(squares: Path, tmp_path: Path) -> None:
    text = MANIFEST[: MANIFEST.index("splits")] + "splits: {train: train, query: val, gallery: val}\n"
    (squares / "same.yaml").write_text(text)
    settings = DataSettings(background="mask", background_splits="query")
    with pytest.raises(UsageError, match="the same photos"):
        prepare(load_manifest(squares / "same.yaml"), settings, 0, tmp_path, silent)


def test_a_photo_without_masks_stays_as_it_is() -> None:
    photo, empty = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), bool)
    for way in ("mask", "random-mask"):
        assert FOREGROUNDS[way].find(photo, empty, ~empty, 0) is None
    own = empty.copy()
    own[:2, :2] = True
    alone = FOREGROUNDS["random-mask"].find(photo, own, empty, 0)
    assert alone is not None and alone.sum() == 4 and not (alone & own).any()


@pytest.mark.parametrize("area", [1, 9, 30, 64])
def test_a_shape_shrinks_and_grows_to_an_area(area: int) -> None:
    shape = np.zeros((8, 8), bool)
    shape[2:6, 1:7] = True
    for each in (shape, np.ones((8, 8), bool)):
        found = of_area(each, area)
        assert found.sum() == area
        assert not (found & ~each).any() or not (each & ~found).any()  # one holds the other
