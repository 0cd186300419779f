"""The columnar reader, with json and pycocotools as the reference, and every way in which it refuses a file."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from aeret.data import coco
from aeret.data.collection import NO_MASK, POLYGONS, RLE, Collection, read_collection
from aeret.data.rle import decode_strings, encode_runs
from aeret.errors import DataError
from aeret.rng import generator


def small() -> dict[str, Any]:
    """Two photos, three annotations, one of each kind."""
    return {
        "images": [
            {"id": 7, "file_name": "seven.jpg", "width": 6, "height": 4, "true_masks": True},
            {"id": 3, "file_name": "three.jpg", "width": 5, "height": 5, "license": 1},
        ],
        "annotations": [
            {
                "id": 11,
                "image_id": 3,
                "category_id": 90,
                "bbox": [1, 1, 2, 2],
                "area": 4,
                "iscrowd": 0,
                "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3], [0, 0, 1, 0, 1.5, 2.25]],
            },
            {
                "id": 10,
                "image_id": 7,
                "category_id": 2,
                "iscrowd": 1,
                "segmentation": {"size": [4, 6], "counts": [20, 4]},
            },
            {"id": 12, "image_id": 7, "category_id": 90},
        ],
        "categories": [{"id": 2, "name": "dog", "supercategory": "animal"}, {"id": 90, "name": "sofa"}],
    }


def write(folder: Path, content: Any) -> Path:
    path = folder / "instances.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_every_column(tmp_path: Path) -> None:
    read = read_collection(write(tmp_path, small()))
    assert len(read) == 2
    assert read.photo_ids.tolist() == [7, 3]
    assert read.file_names == ["seven.jpg", "three.jpg"]
    assert (read.heights.tolist(), read.widths.tolist()) == ([4, 5], [6, 5])
    assert read.category_ids.tolist() == [2, 90]
    assert (read.category_names, read.supercategories) == (("dog", "sofa"), ("animal", "sofa"))
    assert read.annotation_ids.tolist() == [11, 10, 12]
    assert read.annotation_photo.tolist() == [1, 0, 0]
    assert read.annotation_category.tolist() == [1, 0, 1]
    assert read.crowd.tolist() == [False, True, False]
    np.testing.assert_array_equal(read.area, [4, np.nan, np.nan])
    np.testing.assert_array_equal(read.boxes, [[1, 1, 2, 2], [np.nan] * 4, [np.nan] * 4])
    assert read.kind.tolist() == [POLYGONS, RLE, NO_MASK]
    assert [part.tolist() for part in read.polygons(0)] == [
        [[1, 1], [3, 1], [3, 3], [1, 3]],
        [[0, 0], [1, 0], [1.5, 2.25]],
    ]
    assert read.polygons(1) == []
    assert (read.runs(0).tolist(), read.runs(1).tolist()) == ([], [20, 4])
    assert read.rle_sizes.tolist() == [[0, 0], [4, 6], [0, 0]]
    assert {key: flag.tolist() for key, flag in read.photo_flags.items()} == {"true_masks": [True, False]}
    offsets, rows = read.by_photo()
    assert (offsets.tolist(), rows.tolist()) == ([0, 2, 3], [1, 2, 0])
    assert read.labels(include_crowd=False).tolist() == [[False, True], [False, True]]
    assert read.labels(include_crowd=True).tolist() == [[True, True], [False, True]]


def test_types(tmp_path: Path) -> None:
    read = read_collection(write(tmp_path, small()))
    assert read.photo_ids.dtype == read.annotation_ids.dtype == read.category_ids.dtype == np.int64
    assert read.heights.dtype == read.widths.dtype == read.annotation_photo.dtype == np.int32
    assert (read.area.dtype, read.boxes.dtype, read.points.dtype) == (np.float64, np.float32, np.float64)
    assert (read.crowd.dtype, read.kind.dtype, read.rle_text.dtype) == (np.bool_, np.uint8, np.uint8)


def same(one: Collection, other: Collection) -> None:
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
        elif name != "photo_flags":
            assert value == getattr(other, name)
    assert one.photo_flags.keys() == other.photo_flags.keys()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
@pytest.mark.parametrize("indent", [None, 2])
def test_order_and_layout_of_the_file_do_not_matter(tmp_path: Path, order: tuple[int, ...], indent: int | None) -> None:
    whole = small()
    expected = read_collection(write(tmp_path, whole))
    keys = [list(whole)[place] for place in order]
    content = {"info": {"a": [{"b": "}]"}]}, **{key: whole[key] for key in keys}, "year": 2024, "note": "],[{"}
    same(read_collection(write(tmp_path, json.dumps(content, indent=indent))), expected)


@pytest.mark.parametrize("nasty", ["}, {", '"}], "annotations": [{', "\\", '\\"}]', "é}]", "}]}"])
def test_borders_inside_texts_and_nested_lists(tmp_path: Path, nasty: str) -> None:
    content = small()
    expected = read_collection(write(tmp_path, content))
    for record in [*content["images"], *content["annotations"]]:
        record["caption"] = nasty
        record["segments_info"] = [{"id": 1, "more": [{"x": nasty}, {}]}, {"id": 2}]
    same(read_collection(write(tmp_path, content)), expected)


def test_many_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = small()
    content["annotations"] = [
        {"id": i, "image_id": (3, 7)[i % 2], "category_id": 2, "segmentation": [[0, 0, i, 0, 0, 1]]}
        for i in range(2000)
    ]
    path = write(tmp_path, content)
    expected = read_collection(path)
    assert expected.points[:, 0].max() == 1999
    monkeypatch.setattr(coco, "_BATCH", 7)
    same(read_collection(path), expected)


def test_against_pycocotools_on_real_annotations(real_data: Path) -> None:
    path = real_data / "coco_mix" / "annotations" / "instances_val_truemasks.json"
    read = read_collection(path)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))
    assert read.photo_ids.tolist() == [image["id"] for image in coco.dataset["images"]]
    assert read.photo_flags["true_masks"].all()
    offsets, rows = read.by_photo()
    for place, photo in enumerate(read.photo_ids):
        found = read.annotation_ids[rows[offsets[place] : offsets[place + 1]]].tolist()
        assert found == coco.getAnnIds(imgIds=[int(photo)])
    for row, annotation in enumerate(coco.dataset["annotations"]):
        assert read.annotation_ids[row] == annotation["id"]
        assert read.category_ids[read.annotation_category[row]] == annotation["category_id"]
        if read.kind[row] == POLYGONS:
            assert [part.reshape(-1).tolist() for part in read.polygons(row)] == annotation["segmentation"]
        else:
            assert read.runs(row).sum() == np.prod(annotation["segmentation"]["size"])


# What is wrong, by a change to the small file, with what the message has to name.
BROKEN: dict[str, tuple[Any, str]] = {
    "missing section": (lambda c: c.pop("categories"), "missing-section"),
    "section no list": (lambda c: c.update(images={}), "missing-section"),
    "missing key": (lambda c: c["annotations"][1].pop("image_id"), r".*image_id.*missing-key"),
    "missing size": (lambda c: c["images"][1].pop("width"), r".*width.*missing-key"),
    "text for a number": (lambda c: c["annotations"][0].update(area="4"), r".*bad-value"),
    "width 0": (lambda c: c["images"][0].update(width=0), r".*bad-value"),
    "no name": (lambda c: c["images"][0].update(file_name=""), r".*bad-value"),
    "huge id": (lambda c: c["images"][0].update(id=2**70), r".*bad-value"),
    "crowd of 2": (lambda c: c["annotations"][0].update(iscrowd=2), r".*bad-value"),
    "box of 3": (lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), r".*bad-value"),
    "part no list": (lambda c: c["annotations"][0].update(segmentation=[1, 2, 3]), r".*bad-value"),
    "group no text": (lambda c: c["categories"][0].update(supercategory=0), r".*bad-value"),
    "same image id": (lambda c: c["images"][0].update(id=3), "image 3: .*duplicate-id"),
    "same annotation id": (lambda c: c["annotations"][0].update(id=12), "annotation 12: .*duplicate-id"),
    "same category id": (lambda c: c["categories"][0].update(id=90), "category 90: .*duplicate-id"),
    "same file": (lambda c: c["images"][0].update(file_name="three.jpg"), "three.jpg.*duplicate-file"),
    "unknown photo": (lambda c: c["annotations"][2].update(image_id=8), "annotation 12: .*8.*unknown-photo"),
    "unknown category": (lambda c: c["annotations"][2].update(category_id=1), "annotation 12: .*1.*unknown-category"),
    "no image": (lambda c: c.update(images=[]), "3|image_id.*unknown-photo"),
    "no part": (lambda c: c["annotations"][0].update(segmentation=[]), "annotation 11: .*empty-polygon"),
    "empty part": (lambda c: c["annotations"][0].update(segmentation=[[]]), "annotation 11: .*empty-polygon"),
    "odd part": (lambda c: c["annotations"][0].update(segmentation=[[1] * 7]), "annotation 11: .*odd-polygon"),
    "two points": (lambda c: c["annotations"][0].update(segmentation=[[1] * 4]), "annotation 11: .*degenerate-polygon"),
    "RLE of another size": (
        lambda c: c["annotations"][1]["segmentation"].update(size=[6, 4]),
        "annotation 10: .*bad-rle",
    ),
    "RLE without size": (lambda c: c["annotations"][1]["segmentation"].pop("size"), r".*missing-key"),
    "image no record": (lambda c: c["images"].append(5), r".*bad-value"),
    "NaN": (lambda c: c["annotations"][0].update(area=float("nan")), "annotation 11: .*not-finite"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_refuses(tmp_path: Path, name: str) -> None:
    content = small()
    change, message = BROKEN[name]
    change(content)
    path = write(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read_collection(path)
    assert str(path) in str(caught.value) and "To fix it" in str(caught.value)


def test_every_cut_is_refused(tmp_path: Path) -> None:
    """A file that a killed writer left: wherever it ends, it is never read as a smaller collection."""
    text = json.dumps(small())
    for end in range(len(text)):
        with pytest.raises(DataError, match="truncated-json"):
            read_collection(write(tmp_path, text[:end]))


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a file"):
        read_collection(tmp_path / "nothing.json")


@pytest.mark.parametrize("section", ["images", "annotations", "categories"])
@pytest.mark.parametrize("again", ["", "\\u00"], ids=["plain", "escaped"])
def test_a_section_given_twice_is_refused(tmp_path: Path, section: str, again: str) -> None:
    """Decoders take the last and lose the first. Only a section counts: elsewhere, and below, keys may come again."""
    content = small()
    content["annotations"][0]["annotations"] = content["images"][0]["categories"] = []
    text = json.dumps(content)[:-1] + ', "info": {"images": 1}, "info": {"images": 2}'
    assert len(read_collection(write(tmp_path, text + "}"))) == 2
    key = again + f"{ord(section[0]):02x}" + section[1:] if again else section
    with pytest.raises(DataError, match=f"'{section}' is given more than once .duplicate-section.*To fix it"):
        read_collection(write(tmp_path, f'{text}, "{key}": []}}'))
    with pytest.raises(DataError, match="duplicate-section"):
        read_collection(write(tmp_path, f'{{"{key}": [], {text[1:]}}}'))


def test_no_annotation(tmp_path: Path) -> None:
    content = small()
    content["annotations"] = []
    read = read_collection(write(tmp_path, content))
    assert read.labels(True).sum() == 0 and read.boxes.shape == (0, 4) and read.points.shape == (0, 2)
    assert read.by_photo()[0].tolist() == [0, 0, 0]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32)), min_size=1, max_size=5))
def test_rle_strings_are_those_of_pycocotools(shapes: list[tuple[int, int, int]]) -> None:
    masks = [generator(seed, "mask").integers(0, 2, (height, width), np.uint8) for height, width, seed in shapes]
    encoded = [coco_mask.encode(np.asfortranarray(mask))["counts"] for mask in masks]
    offsets, runs = decode_strings(encoded)
    for place, mask in enumerate(masks):
        own = runs[offsets[place] : offsets[place + 1]]
        flat = np.repeat(np.arange(len(own)) % 2, own)
        np.testing.assert_array_equal(flat, mask.T.reshape(-1))
    ends, text = encode_runs(offsets, runs)
    assert [text[ends[i] : ends[i + 1]].tobytes() for i in range(len(masks))] == encoded


def test_long_runs() -> None:
    """Runs that need two to six characters, up and down, against pycocotools' own writer."""
    runs = [0, 17, 600, 20_000, 700_000, 5, 3, 25_000_000, 1]
    (height, width), total = (sum(runs), 1), sum(runs)
    text = coco_mask.frPyObjects({"size": [height, width], "counts": runs}, height, width)["counts"]
    assert total == sum(decode_strings([text])[1])
    assert decode_strings([text])[1].tolist() == runs
    assert encode_runs(np.array([0, len(runs)]), np.array(runs))[1].tobytes() == text
