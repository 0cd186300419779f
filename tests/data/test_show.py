from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aeret.data.collection import read_collection
from aeret.data.manifest import Manifest, load_manifest
from aeret.data.show import annotated_photo, category_colour, contact_sheet
from aeret.errors import DataError, UnknownNameError, UsageError


@pytest.fixture
def grey(tmp_path: Path) -> Manifest:
    """Six grey photos of 80 x 40; the left half of each is a cat, in two of them as a crowd; the last has nothing."""
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for number in range(1, 7):
        Image.new("RGB", (80, 40), (100, 100, 100)).save(tmp_path / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 80, "height": 40})
        if number == 6:
            continue
        crowd = int(number > 3)
        left_half = {"size": [40, 80], "counts": [0, 1600, 1600]} if crowd else [[0, 0, 40, 0, 40, 40, 0, 40]]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 3, "segmentation": left_half, "iscrowd": crowd}
        )
    document = {"images": images, "annotations": annotations, "categories": [{"id": 3, "name": "cat"}]}
    (tmp_path / "all.json").write_text(json.dumps(document))
    path = tmp_path / "m.yaml"
    path.write_text(
        "name: m\ndescription: d\nsources: {all: {photos: images, annotations: all.json}}\n"
        "splits: {train: {source: all, ids: train.txt}, query: {source: all, ids: rest.txt}, "
        "gallery: {source: all, ids: rest.txt}}\n"
    )
    (tmp_path / "train.txt").write_text("1\n")
    (tmp_path / "rest.txt").write_text("2\n3\n4\n5\n6\n")
    return load_manifest(path)


def test_a_mask_is_tinted_where_it_is_and_nowhere_else(grey: Manifest) -> None:
    collection = read_collection(grey.sources["all"].annotations)
    for row in (0, 3):
        tile = np.asarray(annotated_photo(collection, row, grey.sources["all"].photos, 80)).astype(int)
        assert tile.shape[1] == 80
        # Away from the name, which is in the middle of the mask.
        inside, outside = tile[2:12, 4:34].mean(axis=(0, 1)), tile[2:12, 44:78].mean(axis=(0, 1))
        np.testing.assert_allclose(outside, 100, atol=1)
        np.testing.assert_allclose(inside, 100 + 0.42 * (np.array(category_colour(0)) - 100), atol=12)
    empty = np.asarray(annotated_photo(collection, 5, grey.sources["all"].photos, 80)).astype(int)
    np.testing.assert_allclose(empty[:38], 100, atol=1)
    assert empty[40:].max() > 150  # the caption


def test_contact_sheet(grey: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "sheet.png"
    contact_sheet(grey, "gallery", 4, 0, out, cell=64)
    with Image.open(out) as sheet:
        first = sheet.convert("RGB").tobytes()
        # Two columns, two rows of tiles 32 + 16 pixels high.
        assert sheet.size == (2 * 70 + 6, 2 * 48 + 3 * 6)
    contact_sheet(grey, "gallery", 4, 0, out, cell=64)
    with Image.open(out) as sheet:
        assert sheet.convert("RGB").tobytes() == first
    contact_sheet(grey, "train", 24, 0, out, cell=64)
    with Image.open(out) as sheet:
        assert sheet.size == (76, 48 + 12)
    assert [path.name for path in out.parent.iterdir()] == ["sheet.png"]


def test_bad_requests(grey: Manifest, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'query'"):
        contact_sheet(grey, "queries", 4, 0, tmp_path / "a.png")
    with pytest.raises(UsageError, match="photos=0"):
        contact_sheet(grey, "query", 0, 0, tmp_path / "a.png")
    with pytest.raises(UsageError, match="cell=1"):
        contact_sheet(grey, "query", 1, 0, tmp_path / "a.png", cell=1)
    with pytest.raises(UsageError, match=r"a\.svg: expected a file name that ends in"):
        contact_sheet(grey, "query", 4, 0, tmp_path / "a.svg")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"a\.png cannot be written: .*another path"):
        contact_sheet(grey, "query", 4, 0, tmp_path / "file" / "a.png")


def test_a_missing_photo_is_named(grey: Manifest, tmp_path: Path) -> None:
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(DataError, match=r"1\.png \(photo 1\)"):
        contact_sheet(grey, "train", 1, 0, tmp_path / "a.png")


def test_neighbouring_categories_have_different_colours() -> None:
    colours = np.array([category_colour(row) for row in range(80)])
    apart = np.abs(np.diff(colours, axis=0)).sum(axis=1)
    assert apart.min() > 100
    assert len(np.unique(colours, axis=0)) == 80
