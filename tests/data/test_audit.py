"""Planted leaks are found and named; a clean collection has none."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from aeret.data.audit import Audit, audit_splits, coco_number
from aeret.data.audit_hash import MIRROR, grey_thumbnails, near_pairs, perceptual_hashes
from aeret.data.audit_leaks import leaks_csv
from aeret.data.audit_pixels import agreement
from aeret.data.scenes import generate_scenes

COUNT, SIDE = 90, 96


@dataclass
class FileSplit:
    """A split over photo files, stretched to squares as ``prepare`` stores them."""

    name: str
    photo_ids: np.ndarray
    file_names: list[str]
    paths: list[str]

    def __len__(self) -> int:
        return len(self.paths)

    def photos(self, positions: Any) -> np.ndarray:
        rows = np.arange(len(self))[positions]
        return np.stack([np.asarray(Image.open(self.paths[row]).convert("RGB").resize((SIDE, SIDE))) for row in rows])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("drawn") / "scenes"
    generate_scenes(folder, COUNT, seed=11, size=(96, 128), workers=1)
    return sorted((folder / "images").iterdir())[:COUNT]


def divided(photos: list[Path]) -> dict[str, FileSplit]:
    """60 photos to learn from, 10 to choose on, the rest to search; no name is like COCO's."""
    splits = {}
    for name, start, stop in (("train", 0, 60), ("validation", 60, 70), ("query", 70, COUNT)):
        chosen = [str(path) for path in photos[start:stop]]
        names = [f"{name}-{place}.jpg" for place in range(len(chosen))]
        splits[name] = FileSplit(name, np.arange(start, stop), names, chosen)
    return splits | {"gallery": splits["query"]}


def audited(splits: dict[str, FileSplit], **options: Any) -> Audit:
    return audit_splits(splits, leave_one_out=splits["gallery"] is splits["query"], **options)  # type: ignore[arg-type]


def cropped(photo: Image.Image) -> Image.Image:
    width, height = photo.size
    return photo.crop((round(0.02 * width), round(0.04 * height), round(0.97 * width), round(0.99 * height)))


def test_a_clean_collection_has_no_leak(scenes: list[Path]) -> None:
    found = audited(divided(scenes))
    assert found.leaks == ()
    assert (found.plain, found.absent) == (0, 0)
    assert found.photos == {"train": 60, "validation": 10, "query": 20}


def test_ten_planted_leaks_of_ten_kinds_are_found_and_named(scenes: list[Path], tmp_path: Path) -> None:
    splits = divided(scenes)
    train, validation, query = splits["train"], splits["validation"], splits["query"]
    changes = {
        0: ("copy.jpg", None, {}),
        1: ("encoded.jpg", lambda photo: photo, {"quality": 25}),
        2: ("cropped.jpg", cropped, {}),
        3: ("resized.png", lambda photo: photo.resize((photo.width // 2, photo.height // 2)), {}),
        4: ("brightened.jpg", lambda photo: ImageEnhance.Brightness(photo).enhance(1.25), {}),
        5: ("mirrored.jpg", ImageOps.mirror, {}),
        6: ("mixed.jpg", lambda photo: cropped(ImageOps.mirror(ImageEnhance.Contrast(photo).enhance(0.8))), {}),
    }
    for place, (name, change, options) in changes.items():
        path = tmp_path / name
        if change is None:
            path.write_bytes(Path(train.paths[place]).read_bytes())
        else:
            change(Image.open(train.paths[place])).save(path, **options)
        query.paths[place], query.file_names[place] = str(path), name
    train.file_names[7], query.file_names[7] = "train2014/COCO_train2014_000000000042.jpg", "000000000042.jpg"
    query.photo_ids[8] = train.photo_ids[8]
    # Chosen on a query: a validation photo, re-encoded.
    Image.open(validation.paths[3]).save(tmp_path / "chosen.jpg", quality=60)
    query.paths[9], query.file_names[9] = str(tmp_path / "chosen.jpg"), "chosen.jpg"

    found = audited(splits)
    expected = {(f"train-{place}.jpg", name) for place, (name, _, _) in changes.items()}
    expected |= {(train.file_names[7], "000000000042.jpg"), ("train-8.jpg", "query-8.jpg")}
    expected |= {("validation-3.jpg", "chosen.jpg")}
    assert {leak.files for leak in found.leaks} == expected
    kinds = {leak.files[1]: leak.kinds for leak in found.leaks}
    assert kinds["copy.jpg"] == ("bytes",)
    assert kinds["mirrored.jpg"] == kinds["mixed.jpg"] == ("mirrored near-duplicate",)
    assert kinds["000000000042.jpg"] == ("COCO number",)
    assert kinds["query-8.jpg"] == ("id",)
    assert [leak.files[1] for leak in found.leaks if leak.chooses] == ["chosen.jpg"]
    assert all(kinds[name] == ("near-duplicate",) for name in ("encoded.jpg", "cropped.jpg", "resized.png"))
    assert [leak.sure for leak in found.leaks[:3]] == ["certain"] * 3, "the certain ones come first"
    rows = list(csv.DictReader(io.StringIO(leaks_csv(found.leaks))))
    assert {(row["file_name"], row["other_file_name"]) for row in rows} == expected
    line = next(leak.line() for leak in found.leaks if leak.chooses)
    assert "validation validation-3.jpg (id 63) = query chosen.jpg (id 79): near-duplicate" in line
    assert "checkpoints would be chosen on it" in line
    only_names = audited(splits, near_duplicates=False)
    assert {leak.files[1] for leak in only_names.leaks} == {"copy.jpg", "000000000042.jpg", "query-8.jpg"}
    assert audited(splits, ids_are_global=False, near_duplicates=False).leaks == tuple(
        leak for leak in only_names.leaks if leak.kinds != ("id",)
    )


def test_what_is_allowed_is_marked_and_what_is_allowed_in_vain_is_said(scenes: list[Path]) -> None:
    splits = divided(scenes)
    for place in range(4):
        splits["query"].paths[place] = splits["train"].paths[place]
    allow = (("query-0.jpg", "train-0.jpg"), "train-1.jpg", 72, ("train-3.jpg", "query-9.jpg"), "other.jpg")
    found = audited(splits, allow=allow)
    assert [(leak.files[1], leak.allowed) for leak in found.leaks] == [
        ("query-0.jpg", True), ("query-1.jpg", True), ("query-2.jpg", True), ("query-3.jpg", False)
    ]  # fmt: skip
    assert found.unused == ("train-3.jpg = query-9.jpg", "other.jpg")


def test_query_and_gallery_are_kept_apart_where_they_are_not_the_same(scenes: list[Path]) -> None:
    splits = divided(scenes)
    query, rest = splits["query"], slice(10, None)
    splits["gallery"] = FileSplit("gallery", query.photo_ids[rest], query.file_names[rest], query.paths[rest])
    splits["query"] = FileSplit(
        "query", query.photo_ids[:10], query.file_names[:10], query.paths[:9] + query.paths[-1:]
    )
    (leak,) = audited(splits).leaks
    assert (leak.splits, leak.files, leak.kinds) == (("query", "gallery"), ("query-9.jpg", "query-19.jpg"), ("bytes",))


def test_plain_photos_are_told_apart_by_bytes_alone(tmp_path: Path) -> None:
    splits = {}
    for number, name in enumerate(("train", "validation", "query")):
        paths = [tmp_path / f"{name}{place}.png" for place in range(3)]
        for place, path in enumerate(paths):
            Image.new("RGB", (32 + number, 32), (70 * place, 9, 9)).save(path)
        ids = np.arange(3) + 10 * number
        splits[name] = FileSplit(name, ids, [path.name for path in paths], [str(path) for path in paths])
    splits["gallery"] = splits["query"]
    found = audited(splits)
    assert (found.leaks, found.plain) == ((), 9)
    Path(splits["query"].paths[0]).unlink()
    splits["query"].paths[1] = splits["validation"].paths[2]
    again = audited(splits, near_duplicates=False)
    assert [leak.kinds for leak in again.leaks] == [("bytes",)]
    assert again.absent == 1


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("COCO_val2014_000000000042.jpg", (42, True)),
        ("val2017/000000000042.jpg", (42, False)),
        ("42.jpg", None),
        ("IMG_000000000042.jpg", None),
    ],
)
def test_numbers_of_coco_names(name: str, number: tuple[int, bool] | None) -> None:
    assert coco_number(name) == number


def test_two_collections_that_count_from_one_do_not_leak(scenes: list[Path]) -> None:
    splits = divided(scenes)
    splits["train"].file_names[0], splits["query"].file_names[0] = "a/000000000001.jpg", "b/000000000001.jpg"
    assert audited(splits).leaks == ()


def test_the_mirrors_hash_is_known_without_hashing_it() -> None:
    grey = np.random.default_rng(0).uniform(0, 255, (20, 32, 32)).astype(np.float32)
    hashes, detailed = perceptual_hashes(grey)
    assert detailed.all()
    np.testing.assert_array_equal(hashes ^ MIRROR, perceptual_hashes(np.ascontiguousarray(grey[:, :, ::-1]))[0])
    assert len(set(hashes.tolist())) == 20


def test_thumbnails_are_means_of_areas() -> None:
    photos = np.random.default_rng(1).integers(0, 255, (3, 64, 64, 3), dtype=np.uint8)
    grey = photos @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(grey_thumbnails(photos), grey.reshape(3, 32, 2, 32, 2).mean(axis=(2, 4)), rtol=1e-5)
    flat = np.full((1, 16, 16, 3), 200, np.uint8)
    np.testing.assert_allclose(grey_thumbnails(flat), 200, rtol=1e-5)


def test_near_pairs_are_those_of_brute_force_and_the_nearest_where_there_are_many() -> None:
    rng = np.random.default_rng(2)
    first = rng.integers(0, 2**63, 400, dtype=np.uint64)
    second = first[:50] ^ (np.uint64(1) << rng.integers(0, 60, 50).astype(np.uint64))
    distances = np.array([[int(a ^ b).bit_count() for a in first.tolist()] for b in second.tolist()])
    pairs = {
        (int(i), int(j)) for one, other in near_pairs(first, second, 22, 400) for i, j in zip(one, other, strict=True)
    }
    assert pairs == {(int(i), int(j)) for j, i in zip(*np.nonzero(distances <= 22), strict=True)}
    nearest = {
        (int(i), int(j)) for one, other in near_pairs(first, second, 22, 1) for i, j in zip(one, other, strict=True)
    }
    assert nearest == {(place, place) for place in range(50)}


def test_agreement_finds_the_window_and_not_another_picture() -> None:
    rng = np.random.default_rng(3)
    whole = np.kron(rng.uniform(0, 255, (1, 16, 16)), np.ones((4, 4))).astype(np.float32)
    part = whole[:, 2:62, 0:60]  # 0.94 of each side, off the middle
    enlarged = np.stack([np.asarray(Image.fromarray(part[0]).resize((64, 64)))])
    for pair in ((whole, enlarged), (enlarged, whole)):
        edges, levels = agreement(*pair)
        assert edges[0] > 0.7
        assert levels[0] > 0.9
    other = np.kron(rng.uniform(0, 255, (1, 16, 16)), np.ones((4, 4))).astype(np.float32)
    assert agreement(whole, other)[0][0] < 0.4
    assert agreement(np.zeros_like(whole), whole)[0][0] == 0
