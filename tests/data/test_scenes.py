from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from aeret.data.collection import read_collection
from aeret.data.scenes import generate_scenes
from aeret.data.scenes.layout import KINDS, plan_scene
from aeret.data.scenes.objects import CATEGORIES
from aeret.data.scenes.outlines import compressed, outlines, polygon_area, runs
from aeret.data.scenes.render import SMALLEST_VISIBLE, Scene, draw_scene
from aeret.data.scenes.textures import noise_bank
from aeret.errors import DataError, RunError, UnknownNameError, UsageError
from aeret.rng import generator


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(5, index, (64, 80)) for index in range(60)]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_same_seed_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    generate_scenes(tmp_path / "one", 30, 3, (48, 56), workers=1)
    generate_scenes(tmp_path / "two", 30, 3, (48, 56), workers=2)
    generate_scenes(tmp_path / "other", 10, 4, (48, 56), workers=1)
    one, two, other = (digests(tmp_path / name) for name in ("one", "two", "other"))
    assert len(one) == 30 + 2 + 1
    assert one == two
    assert not set(one.values()) & set(other.values())


def test_files_are_a_coco_collection(tmp_path: Path) -> None:
    generate_scenes(tmp_path / "scenes", 25, 1, (48, 64), workers=1)
    train, val = (read_collection(tmp_path / f"scenes/annotations/instances_{part}.json") for part in ("train", "val"))
    assert (len(train), len(val)) == (20, 5)
    assert not set(train.photo_ids.tolist()) & set(val.photo_ids.tolist())
    assert not set(train.annotation_ids.tolist()) & set(val.annotation_ids.tolist())
    assert sorted(train.file_names + val.file_names) == sorted(p.name for p in (tmp_path / "scenes/images").iterdir())
    assert train.category_names == tuple(CATEGORIES)
    assert len(CATEGORIES) >= 12
    assert len(set(train.supercategories)) == 4


def test_a_made_folder_is_left_alone_and_another_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "scenes"
    generate_scenes(folder, 10, 1, (48, 48), workers=1)
    before = (folder / "annotations" / "instances_train.json").stat().st_mtime_ns
    generate_scenes(folder, 10, 1, (48, 48), workers=1)
    assert (folder / "annotations" / "instances_train.json").stat().st_mtime_ns == before
    with pytest.raises(DataError, match="holds other files"):
        generate_scenes(folder, 10, 2, (48, 48), workers=1)


def test_a_killed_run_leaves_no_folder_and_its_remains_do_not_survive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "scenes"

    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("aeret.data.scenes.write.write_text", killed)
        with pytest.raises(KeyboardInterrupt):
            generate_scenes(folder, 20, 1, (48, 48), workers=1)
    assert not folder.exists()
    assert (tmp_path / "scenes.partial" / "images").is_dir()
    generate_scenes(folder, 10, 1, (48, 48), workers=1)
    assert len(list((folder / "images").iterdir())) == 10
    assert not (tmp_path / "scenes.partial").exists()


def test_a_killed_worker_is_an_error_not_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aeret.data.scenes.write._draw_chunk", die)
    with pytest.raises(RunError, match="was killed"):
        generate_scenes(tmp_path / "scenes", 30, 1, (48, 48), workers=2)
    assert not (tmp_path / "scenes").exists()


def die(chunk: object) -> None:
    import os

    os._exit(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((9, 0, (48, 48)), "photos=9"), ((10, 0, (60, 50)), "size="), ((10, 0, (16, 50)), "size=")],
)
def test_bad_arguments(tmp_path: Path, arguments: tuple[int, int, tuple[int, int]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        generate_scenes(tmp_path / "scenes", *arguments)


def test_masks_of_one_photo_are_visible_parts_and_never_overlap(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.masks.shape == (len(scene.annotations), *scene.photo.shape[:2])
        assert scene.masks.sum(axis=0).max(initial=0) <= 1
        assert all(mask.sum() >= SMALLEST_VISIBLE for mask in scene.masks)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools on NumPy 2
def test_segmentations_are_the_masks_by_pycocotools(scenes: list[Scene]) -> None:
    agreement = []
    for scene in scenes:
        height, width = scene.photo.shape[:2]
        for annotation, mask in zip(scene.annotations, scene.masks, strict=True):
            segmentation = annotation["segmentation"]
            if isinstance(segmentation, list):
                encoded = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
                drawn = coco_mask.decode(encoded).astype(bool)
                if mask.sum() > 150:
                    agreement.append((drawn & mask).sum() / (drawn | mask).sum())
                    assert annotation["area"] == pytest.approx(mask.sum(), rel=0.15)
                continue
            if isinstance(segmentation["counts"], list):
                segmentation = coco_mask.frPyObjects(segmentation, height, width)
            np.testing.assert_array_equal(coco_mask.decode(segmentation).astype(bool), mask)
            assert annotation["area"] == mask.sum()
    assert len(agreement) > 50
    # The curve runs half a pixel inside the corners, and pycocotools rounds its own way on the border.
    assert min(agreement) > 0.75
    assert np.mean(agreement) > 0.93


def test_boxes_hold_their_masks(scenes: list[Scene]) -> None:
    for scene in scenes:
        for annotation, mask in zip(scene.annotations, scene.masks, strict=True):
            x, y, width, height = annotation["bbox"]
            if isinstance(annotation["segmentation"], list):
                points = np.concatenate([np.reshape(part, (-1, 2)) for part in annotation["segmentation"]])
                assert [x, y, x + width, y + height] == [*points.min(axis=0), *points.max(axis=0)]
                continue
            rows, columns = np.nonzero(mask)
            assert [x, y] == [columns.min(), rows.min()]
            assert [x + width, y + height] == [columns.max() + 1, rows.max() + 1]


def test_every_hard_case_occurs(scenes: list[Scene]) -> None:
    found = Counter[str]()
    for scene in scenes:
        height, width = scene.photo.shape[:2]
        for annotation in scene.annotations:
            segmentation = annotation["segmentation"]
            x, y, wide, high = annotation["bbox"]
            found["crowd"] += annotation["iscrowd"]
            found["hole"] += isinstance(segmentation, dict) and not annotation["iscrowd"]
            found["parts"] += isinstance(segmentation, list) and len(segmentation) > 1
            found["cut off"] += x == 0 or y == 0 or x + wide == width or y + high == height
        found["portrait"] += height > width
    assert all(found[name] >= 3 for name in ("crowd", "hole", "parts", "cut off", "portrait")), found


def test_places_have_habits_but_are_not_fixed() -> None:
    places: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for kind in KINDS:
        for index in range(150):
            plan = plan_scene(generator(0, "plan", index), kind)
            for item in plan.placements:
                places.setdefault((kind, item.category), []).append((item.x, item.base - plan.horizon))
    assert {category for _, category in places} == set(CATEGORIES)

    def mean_x(kind: str, category: str) -> float:
        return float(np.mean([x for x, _ in places[kind, category]]))

    assert mean_x("street", "bus") < 0.45 < 0.6 < mean_x("street", "street lamp")
    assert np.std([x for x, _ in places["street", "bus"]]) > 0.08
    assert np.mean([below < 0 for _, below in places["lake", "bird"]]) > 0.9
    assert np.mean([below >= 0 for _, below in places["field", "sheep"]]) > 0.98
    assert len(places.get(("room", "boat"), [])) < 5 < len(places["lake", "boat"])


def test_things_keep_together() -> None:
    plans = [plan_scene(generator(1, "plan", index), "room") for index in range(200)]
    present = [{item.category for item in plan.placements} for plan in plans]
    with_vase = [names for names in present if "vase" in names]
    assert len(with_vase) > 60
    # Only a stray vase has no table: 1 in 10 scenes has a stray, 1 in 18 of them is a vase.
    assert sum("table" not in names for names in with_vase) < 6


def test_unknown_kind() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'lake'"):
        plan_scene(generator(0), "lakes")


def test_photos_differ_in_light(scenes: list[Scene]) -> None:
    brightness = [float(scene.photo.mean()) for scene in scenes]
    warmth = [float(scene.photo[..., 0].mean() - scene.photo[..., 2].mean()) for scene in scenes]
    assert np.std(brightness) > 12
    assert np.std(warmth) > 8
    assert all(scene.photo.std() > 10 for scene in scenes)


def test_noise_bank_is_standardised_and_wraps() -> None:
    patch = noise_bank(0).patch(generator(0), "leaves", 300, 300)
    np.testing.assert_array_equal(patch[:44], patch[256:])
    assert abs(float(patch[:256, :256].mean())) < 1e-3
    assert float(patch[:256, :256].std()) == pytest.approx(1, abs=1e-3)


def test_outline_of_a_square_worked_by_hand() -> None:
    mask = np.zeros((5, 6), dtype=bool)
    mask[1:4, 2:5] = True
    parts, holes = outlines(mask)
    assert len(parts) == 1 and not holes
    # 3 x 3 less four corners, each a triangle of 1/8.
    assert polygon_area(parts[0]) == pytest.approx(8.5)
    assert len(parts[0]) == 8
    assert parts[0].min(axis=0).tolist() == [2, 1] and parts[0].max(axis=0).tolist() == [5, 4]
    shifted, _ = outlines(mask[1:4, 2:5], left=2, top=1)
    assert sorted(map(tuple, shifted[0])) == sorted(map(tuple, parts[0]))


def test_outline_of_a_ring_has_a_hole() -> None:
    mask = np.ones((7, 7), dtype=bool)
    mask[2:5, 2:5] = False
    parts, holes = outlines(mask)
    assert (len(parts), len(holes)) == (1, 1)
    # A hole of one pixel is no hole.
    mask[2:5, 2:5] = True
    mask[3, 3] = False
    assert [len(found) for found in outlines(mask)] == [1, 0]


def test_parts_that_touch_at_a_corner_are_two() -> None:
    mask = np.zeros((6, 6), dtype=bool)
    mask[:3, :3] = mask[3:, 3:] = True
    assert len(outlines(mask)[0]) == 2
    assert len(outlines(mask[:, ::-1])[0]) == 2


def test_runs_worked_by_hand() -> None:
    mask = np.array([[0, 1], [1, 1]], dtype=bool)
    assert runs(mask).tolist() == [1, 3]
    assert runs(~mask).tolist() == [0, 1, 3]
    assert runs(np.zeros((2, 2), bool)).tolist() == [4]


def test_compressed_runs_are_those_of_pycocotools() -> None:
    mask = generator(0, "mask").random((37, 53)) < 0.4
    expected = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    assert compressed(mask) == expected.decode()


def test_record_names_what_was_made(tmp_path: Path) -> None:
    generate_scenes(tmp_path / "scenes", 10, 8, (48, 50), workers=1)
    assert json.loads((tmp_path / "scenes/scenes.json").read_text())["seed"] == 8
