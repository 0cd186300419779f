"""Mask planes, with pycocotools' masks at full resolution and their exact area average as the reference."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from aeret.data.collection import RLE, Collection, read_collection
from aeret.data.masks import MaskPlanes, coverage, rasterise
from aeret.data.rle import encode_runs
from aeret.errors import DataError


def collection(folder: Path, annotations: list[dict[str, Any]], photos: int = 2) -> Collection:
    """A collection of photos 8 pixels wide and 4 high, with three categories."""
    content = {
        "images": [{"id": i, "file_name": f"{i}.jpg", "width": 8, "height": 4} for i in range(photos)],
        "annotations": [{"id": 100 + i, **annotation} for i, annotation in enumerate(annotations)],
        "categories": [{"id": i, "name": f"c{i}"} for i in (1, 2, 3)],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return read_collection(path)


def box(x: float, y: float, width: float, height: float) -> list[list[float]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def thing(photo: int, category: int, mask: Any, crowd: int = 0) -> dict[str, Any]:
    return {"image_id": photo, "category_id": category, "segmentation": mask, "iscrowd": crowd}


def test_planes_by_hand(tmp_path: Path) -> None:
    read = collection(
        tmp_path,
        [
            thing(1, 3, box(0, 0, 4, 2)),  # the first of 2 x 2 cells
            thing(0, 1, box(4, 2, 4, 2)),  # the last
            thing(1, 3, box(4, 2, 2, 2)),  # half of the last
            thing(1, 2, box(0, 0, 1, 1)),  # an eighth of the first: no cell, no plane
        ],
    )
    planes = rasterise(read, [0, 1], 2)
    assert (len(planes), planes.size, planes.categories) == (2, 2, 3)
    assert planes.offsets.tolist() == [0, 1, 2]
    assert planes.category.tolist() == [0, 2]
    assert planes.bits.tolist() == [[0b00010000], [0b10010000]]
    dense = planes.dense([1, 0, 1])
    assert dense.shape == (3, 2, 2, 3) and dense.dtype == np.uint8
    assert dense[0, :, :, 2].tolist() == [[1, 0], [0, 1]] and dense[1, :, :, 0].tolist() == [[0, 0], [0, 1]]
    assert dense.sum() == 5
    # The label is there although no cell is.
    assert read.labels(False)[1].tolist() == [False, True, True]


def test_threshold(tmp_path: Path) -> None:
    read = collection(tmp_path, [thing(0, 1, box(0, 0, 3, 2))])
    for threshold, cells in ((0.01, 1), (0.75, 1), (0.76, 0), (1.0, 0)):
        assert rasterise(read, [0], 2, threshold).dense([0]).sum() == cells


def test_instances_of_a_category_are_added(tmp_path: Path) -> None:
    """Two quarters in one cell, neither enough alone."""
    read = collection(
        tmp_path, [thing(0, 1, box(0, 0, 1, 2)), thing(0, 1, box(3, 0, 1, 2)), thing(0, 2, box(0, 0, 1, 2))]
    )
    assert rasterise(read, [0], 2).dense([0])[0, 0, 0].tolist() == [1, 0, 0]


def test_crowds_by_rule(tmp_path: Path) -> None:
    runs = {"size": [4, 8], "counts": [16, 16]}
    read = collection(tmp_path, [thing(0, 1, runs, crowd=1), thing(0, 2, box(0, 0, 4, 4))])
    assert rasterise(read, [0], 2, crowd="skip").category.tolist() == [1]
    both = rasterise(read, [0], 2, crowd="include")
    assert both.category.tolist() == [0, 1]
    assert both.dense([0])[0, :, :, 0].tolist() == [[0, 1], [0, 1]]


def test_rows_in_any_order_with_repeats(tmp_path: Path) -> None:
    read = collection(tmp_path, [thing(i, 1 + i % 3, box(i, 0, 3, 4)) for i in range(4)], photos=5)
    whole = rasterise(read, np.arange(5), 4)
    asked = [4, 2, 2, 0]
    part = rasterise(read, asked, 4)
    np.testing.assert_array_equal(part.dense(range(4)), whole.dense(asked))
    taken = whole.take(asked)
    for name in ("offsets", "category", "bits"):
        np.testing.assert_array_equal(getattr(taken, name), getattr(part, name))
    assert len(whole.take([])) == 0 and whole.dense([]).shape == (0, 4, 4, 3)
    with pytest.raises(IndexError, match="5 photos"):
        whole.dense([5])
    with pytest.raises(IndexError):
        whole.take([-1])


def test_a_few_photos_cost_no_pass_over_all_annotations(tmp_path: Path) -> None:
    read = collection(tmp_path, [thing(0, 1, box(0, 0, 4, 2)), *[thing(1, 2, box(4, 2, 4, 2))] * 50_000])
    assert read.by_photo()[1] is read.by_photo()[1]
    expected = rasterise(read, [0], 2)  # also compiles
    tracemalloc.start()
    try:
        planes = rasterise(read, [0], 2)
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()
    assert planes.bits.tolist() == expected.bits.tolist() == [[0b10000000]]


def test_no_mask_at_all(tmp_path: Path) -> None:
    read = collection(tmp_path, [{"image_id": 0, "category_id": 1}])
    planes = rasterise(read, [0, 1], 4)
    assert planes.offsets.tolist() == [0, 0, 0] and planes.dense([0, 1]).sum() == 0
    planes.save(tmp_path / "planes")
    assert MaskPlanes.open(tmp_path / "planes").dense([1]).shape == (1, 4, 4, 3)


def test_bits_are_those_of_packbits(tmp_path: Path) -> None:
    """At a size whose cells do not fill the last byte."""
    read = collection(tmp_path, [thing(0, 2, [[0, 0, 8, 0, 8, 4]])])
    planes = rasterise(read, [0], 5)
    assert planes.bits.shape == (1, 4)
    cells = planes.dense([0])[0, :, :, 1]
    np.testing.assert_array_equal(np.packbits(cells.reshape(-1)), planes.bits[0])
    np.testing.assert_array_equal(cells, coverage(read, [0], 5)[0] >= 0.5 - 1e-6)


@pytest.mark.parametrize("mmap", [True, False])
def test_saved_and_opened(tmp_path: Path, mmap: bool) -> None:
    read = collection(tmp_path, [thing(0, 1, box(0, 0, 5, 4)), thing(1, 3, box(2, 0, 5, 3))])
    planes = rasterise(read, [0, 1], 4)
    planes.save(tmp_path / "planes")
    opened = MaskPlanes.open(tmp_path / "planes", mmap=mmap)
    assert isinstance(opened.bits, np.memmap) == mmap
    np.testing.assert_array_equal(opened.dense([1, 0]), planes.dense([1, 0]))
    np.testing.assert_array_equal(opened.take([1]).bits, planes.take([1]).bits)


@pytest.mark.parametrize("name", ["planes.json", "bits.npy", "offsets.npy", "category.npy"])
def test_an_incomplete_folder_is_refused(tmp_path: Path, name: str) -> None:
    read = collection(tmp_path, [thing(0, 1, box(0, 0, 5, 4))])
    rasterise(read, [0], 4).save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match="aeret stage prepare"):
        MaskPlanes.open(tmp_path)


def test_planes_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    read = collection(tmp_path, [thing(0, 1, box(0, 0, 5, 4))])
    rasterise(read, [0], 4).save(tmp_path)
    np.save(tmp_path / "offsets.npy", np.array([0, 2]))
    with pytest.raises(DataError, match="do not fit together"):
        MaskPlanes.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("offsets", np.array([1, 1, 2])),
        ("offsets", np.array([0, 3, 2])),
        ("offsets", np.array([0, -1, 2])),
        ("offsets", np.array([0.0, 1.0, 2.0])),
        ("category", np.array([0, 3], np.int16)),
        ("category", np.array([-1, 0], np.int16)),
        ("bits", np.zeros((2, 1), np.uint8)),
        ("bits", np.zeros((2, 2), np.uint16)),
    ],
)
def test_damaged_planes_are_refused(tmp_path: Path, name: str, values: NDArray[Any]) -> None:
    """Compiled code would write outside its memory."""
    read = collection(tmp_path, [thing(0, 1, box(0, 0, 5, 4)), thing(1, 3, box(2, 0, 5, 3))])
    planes = rasterise(read, [0, 1], 4)
    planes.save(tmp_path)
    assert getattr(planes, name).shape == values.shape or name == "bits"
    MaskPlanes.open(tmp_path)
    np.save(tmp_path / f"{name}.npy", values)
    with pytest.raises(DataError, match="do not fit together"):
        MaskPlanes.open(tmp_path)


@pytest.mark.parametrize("counts", [[16, 15], [16, 17], [40, -8], "51", "zzz"])
def test_bad_runs_are_refused_with_their_annotation(tmp_path: Path, counts: Any) -> None:
    """The reader refuses such a file; a collection made by hand is refused when it is rasterised."""
    sound = {"size": [4, 8], "counts": [16, 16]}
    read = collection(tmp_path, [thing(0, 1, box(0, 0, 5, 4)), thing(1, 1, sound)])
    text = counts.encode() if isinstance(counts, str) else encode_runs(np.array([0, len(counts)]), np.array(counts))[1]
    codes = np.frombuffer(bytes(text), np.uint8)
    read = replace(read, rle_text=codes, rle_offsets=np.array([0, 0, len(codes)]))
    with pytest.raises(DataError, match=r"annotation 101 \(photo 1.jpg\)"):
        rasterise(read, [0, 1], 4)
    with pytest.raises(DataError, match="annotation 101"):
        coverage(read, [1], 4)
    assert len(rasterise(read, [0], 4).bits) == 1


def full_masks(path: Path, rows: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    """pycocotools' masks of some annotations at full resolution, averaged over each cell."""
    content = json.loads(path.read_text())
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    result = []
    for row in rows:
        annotation = content["annotations"][row]
        mask, shape = annotation["segmentation"], sizes[annotation["image_id"]]
        if isinstance(mask, list):
            mask = coco_mask.merge(coco_mask.frPyObjects(mask, *shape))
        rows_averaged = coco_mask.decode(mask).repeat(size, 0).reshape(size, *shape).mean(1)
        result.append(rows_averaged.repeat(size, 1).reshape(size, size, shape[1]).mean(2))
    return np.array(result)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools' own
def test_coverage_against_pycocotools_on_real_masks(real_data: Path) -> None:
    """Run lengths agree to rounding; polygons to pycocotools' own rounding of outlines to pixels."""
    path = real_data / "coco_mix" / "annotations" / "instances_val.json"
    read = read_collection(path)
    rows = np.arange(0, len(read.annotation_ids), 40)
    own, reference = coverage(read, rows, 32), full_masks(path, rows, 32)
    runs = read.kind[rows] == RLE
    assert runs.sum() > 50 and (~runs).sum() > 30
    np.testing.assert_allclose(own[runs], reference[runs], atol=1e-6)
    difference = np.abs(own - reference)[~runs]
    # At 192 x 128 a cell is 6 x 4 pixels, so that a shift of the outline by half a pixel is a tenth of a cell.
    assert difference.mean() < 0.001
    assert difference[(own[~runs] > 0) | (reference[~runs] > 0)].mean() < 0.02
    assert own[~runs].sum() == pytest.approx(reference[~runs].sum(), rel=0.005)
