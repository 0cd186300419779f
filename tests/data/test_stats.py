from __future__ import annotations

import json
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from aeret.data.manifest import Manifest, load_manifest
from aeret.data.stats import format_statistics, pair_base_rate, single_cluster_f, statistics
from aeret.errors import DataError
from aeret.rng import generator


def box(x: float, y: float, width: float, height: float) -> list[list[float]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


CATEGORIES = {7: ("cat", "animal"), 9: ("dog", "animal"), 12: ("cup", "thing")}


def write(
    folder: Path,
    name: str,
    first: int,
    annotations: list[tuple[int, int, list[list[float]], int]],
    categories: tuple[int, ...] = (7, 9, 12),
) -> None:
    """A file of four photos of 64 x 32 pixels and three categories, or some of them."""
    document = {
        "images": [
            {"id": first + number, "file_name": f"{first + number}.jpg", "width": 64, "height": 32}
            for number in range(4)
        ],
        "categories": [
            {"id": number, "name": CATEGORIES[number][0], "supercategory": CATEGORIES[number][1]}
            for number in categories
        ],
        "annotations": [
            {
                "id": number,
                "image_id": first + photo,
                "category_id": category,
                "segmentation": polygon,
                "bbox": [0, 0, 1, 1],
                "area": 1,
                "iscrowd": crowd,
            }
            for number, (photo, category, polygon, crowd) in enumerate(annotations, start=1)
        ],
    }
    (folder / name).write_text(json.dumps(document))


@pytest.fixture
def tiny(tmp_path: Path) -> Manifest:
    # Half of photo 0 is cat, a quarter of photo 1; the dog of photo 0 lies under the cat; photo 3 has only a crowd.
    write(
        tmp_path,
        "train.json",
        0,
        [
            (0, 7, box(0, 0, 32, 32), 0),
            (0, 9, box(0, 0, 16, 32), 0),
            (1, 7, box(0, 0, 32, 16), 0),
            (1, 7, box(0, 0, 32, 16), 0),
            (2, 12, box(0, 0, 64, 32), 0),
            (3, 7, box(0, 0, 64, 32), 1),
        ],
    )
    write(tmp_path, "val.json", 10, [(0, 7, box(0, 0, 8, 8), 0), (1, 7, box(0, 0, 8, 8), 0)])
    (tmp_path / "checked.json").write_text(json.dumps({"images": [{"id": 11}, {"id": 12}, {"id": 99}]}))
    path = tmp_path / "m.yaml"
    path.write_text(
        "name: m\ndescription: four photos\nsources:\n  a: {photos: i, annotations: train.json}\n"
        "  b: {photos: i, annotations: val.json}\nsplits: {train: a, query: b, gallery: b}\n"
        "subsets: {checked: {annotations: checked.json}}\n"
    )
    return load_manifest(path)


def test_statistics_worked_by_hand(tiny: Manifest) -> None:
    found = statistics(tiny)
    assert (found.categories, found.supercategories, found.leave_one_out) == (3, 2, True)
    assert [split.name for split in found.splits] == ["train", "query", "query/checked"]
    train, query, checked = found.splits
    assert (train.photos, train.unlabelled, train.annotations, train.crowds) == (4, 1, 5, 1)
    assert train.labels_per_photo == pytest.approx(4 / 3)
    assert train.annotations_per_photo == pytest.approx(5 / 3)
    assert train.mask_share == pytest.approx((0.5 + 0.25 + 1 + 0) / 4)
    assert (train.width, train.height) == (64, 32)
    # Of the three pairs of labelled photos one shares the cat.
    assert train.pair_base_rate == pytest.approx(1 / 3)
    assert train.single_cluster_f == pytest.approx(0.5)
    cat, dog, cup = train.categories
    assert (cat.name, cat.supercategory, cat.photos, cat.share, cat.annotations) == ("cat", "animal", 2, 0.5, 3)
    assert cat.mask_share == pytest.approx((0.5 + 0.25) / 2)
    assert dog.mask_share == pytest.approx(0.25)
    assert cup.mask_share == pytest.approx(1)
    assert (query.photos, query.unlabelled, query.pair_base_rate) == (4, 2, 1.0)
    assert (checked.photos, checked.annotations, checked.pair_base_rate, checked.single_cluster_f) == (2, 1, 0.0, 0.0)


@pytest.mark.parametrize(("train", "query"), [((9, 7), (7,)), ((7,), (9, 7)), ((7, 9, 12), (12, 7, 9)), ((9,), (7,))])
def test_categories_are_those_of_all_sources_by_id(
    tiny: Manifest, train: tuple[int, ...], query: tuple[int, ...]
) -> None:
    """Two photos of train have its first category, one of the queries has each of theirs."""
    folder = tiny.path.parent
    write(folder, "train.json", 0, [(photo, train[0], box(0, 0, 32, 32), 0) for photo in (0, 1)], train)
    write(folder, "val.json", 10, [(1, number, box(0, 0, 16, 32), 0) for number in query], query)
    found = statistics(tiny)
    ids = sorted({*train, *query})
    assert found.categories == len(ids)
    assert found.supercategories == len({CATEGORIES[number][1] for number in ids})
    for split in found.splits:
        assert [(item.name, item.supercategory) for item in split.categories] == [CATEGORIES[number] for number in ids]
    of_train, of_query, of_checked = (
        [(item.photos, item.share, item.annotations, item.mask_share) for item in split.categories]
        for split in found.splits
    )
    assert of_train == [(2, 0.5, 2, 0.5) if number == train[0] else (0, 0, 0, 0) for number in ids]
    assert of_query == [(1, 0.25, 1, 0.25) if number in query else (0, 0, 0, 0) for number in ids]
    assert of_checked == [(1, 0.5, 1, 0.25) if number in query else (0, 0, 0, 0) for number in ids]
    lines = format_statistics(found).splitlines()
    for number in ids:
        (line,) = [line for line in lines if line.startswith(CATEGORIES[number][0])]
        assert ("2 (50.0 %)" in line) == (number == train[0]) and ("1 (25.0 %)" in line) == (number in query)


def test_one_id_of_two_meanings_is_refused(tiny: Manifest) -> None:
    path = tiny.path.parent / "val.json"
    path.write_text(path.read_text().replace('"dog"', '"wolf"'))
    with pytest.raises(DataError, match=r"val.json: category 9 is 'wolf' of 'animal', but in .*train.json it is 'dog'"):
        statistics(tiny)


def test_statistics_are_plain_values(tiny: Manifest) -> None:
    json.dumps(asdict(statistics(tiny)), allow_nan=False)


def test_statistics_as_text(tiny: Manifest) -> None:
    text = format_statistics(statistics(tiny))
    assert "query = gallery" in text
    assert "pairs that share a label  0.3333" in text
    lines = text.splitlines()
    cats = next(number for number, line in enumerate(lines) if line.startswith("cat "))
    assert "2 (50.0 %)" in lines[cats]
    # Categories by how many photos have them.
    assert cats < next(number for number, line in enumerate(lines) if line.startswith("dog "))


@pytest.mark.parametrize(("photos", "categories"), [(2, 3), (40, 5), (60, 17)])
def test_pair_base_rate_counts_pairs(photos: int, categories: int) -> None:
    labels = generator(photos, "labels").random((photos, categories)) < 0.2
    expected = np.mean([bool((labels[i] & labels[j]).any()) for i, j in combinations(range(photos), 2)])
    assert pair_base_rate(labels) == pytest.approx(expected, abs=1e-15)


def test_floors_at_the_ends() -> None:
    assert pair_base_rate(np.ones((1, 3), bool)) == 0
    assert pair_base_rate(np.ones((5, 1), bool)) == 1
    assert single_cluster_f(0.0) == 0
    assert single_cluster_f(1.0) == 1
    assert single_cluster_f(0.3416) == pytest.approx(0.5092, abs=1e-4)
