from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from aeret.data.collection import read_collection
from aeret.data.manifest import Manifest, load_manifest
from aeret.data.selection import in_part, select_photos, subset_photo_ids
from aeret.errors import DataError


@dataclass
class Table:
    photo_ids: npt.NDArray[np.int64]
    file_names: list[str]


def table(ids: range | list[int], prefix: str = "") -> Table:
    return Table(np.array(list(ids), dtype=np.int64), [f"{prefix}{number}.jpg" for number in ids])


def manifest(folder: Path, splits: str, extra: str = "") -> Manifest:
    path = folder / "m.yaml"
    path.write_text(
        "name: m\ndescription: d\nsources:\n  a: {photos: i, annotations: a.json}\n"
        "  b: {photos: i, annotations: b.json}\n"
        f"splits: {splits}\n{extra}"
    )
    return load_manifest(path)


def test_parts_that_touch_divide_the_source(tmp_path: Path) -> None:
    found = select_photos(
        manifest(
            tmp_path,
            '{train: {source: a, part: "0:0.7"}, query: {source: a, part: "0.7:0.8"}, '
            'gallery: {source: a, part: "0.8:1"}}',
        ),
        {"a": table(range(2000))},
    )
    together = np.concatenate([found.train, found.query, found.gallery])
    assert sorted(together.tolist()) == list(range(2000))
    assert 1340 < len(found.train) < 1460 and 150 < len(found.query) < 250
    assert not found.leave_one_out
    assert found["query"] is found.query


def test_the_part_of_a_photo_depends_on_its_id_alone() -> None:
    few, many = np.array([12, 7]), np.arange(-5, 5000)
    np.testing.assert_array_equal(in_part(few, (0.2, 0.6)), in_part(many, (0.2, 0.6))[few + 5])
    # The hash must not change: reports of another day would be about other photos. First splitmix64 output of seed 0.
    unit = (0xE220A8397B1DCDAF >> 11) / 2**53
    assert in_part(np.array([0]), (unit, 1)).all()
    assert not in_part(np.array([0]), (0, unit)).any()


def test_leave_one_out(tmp_path: Path) -> None:
    found = select_photos(
        manifest(tmp_path, "{train: a, query: b, gallery: b}"), {"a": table([1, 2]), "b": table([3, 4, 5])}
    )
    assert found.leave_one_out
    assert found.query.tolist() == found.gallery.tolist() == [0, 1, 2]
    assert found.query.dtype == np.int64


def test_shared_photos_are_named(tmp_path: Path) -> None:
    photos = {"a": table(range(10)), "b": table(range(3, 20))}
    with pytest.raises(DataError) as raised:
        select_photos(manifest(tmp_path, "{train: a, query: b, gallery: b}"), photos)
    text = str(raised.value)
    assert "'train' and 'query' share 7 photo id(s): 3, 4, 5, 6, 7 and 2 more and 7 file name(s): 3.jpg" in text
    assert "'train' and 'gallery'" in text


def test_query_and_gallery_may_not_overlap_in_part(tmp_path: Path) -> None:
    splits = '{train: a, query: {source: b, part: "0:0.5"}, gallery: b}'
    with pytest.raises(DataError, match=r"'query' and 'gallery' share \d+ photo id.*Give each split photos of its own"):
        select_photos(manifest(tmp_path, splits), {"a": table(range(10)), "b": table(range(10, 60))})


def test_sources_that_count_from_one_may_be_told_apart_by_file_name(tmp_path: Path) -> None:
    photos = {"a": table(range(1, 5), "train/"), "b": table(range(1, 4), "val/")}
    splits = "{train: a, query: b, gallery: b}"
    with pytest.raises(DataError, match="say `identity: file name`"):
        select_photos(manifest(tmp_path, splits), photos)
    assert len(select_photos(manifest(tmp_path, splits, "identity: file name\n"), photos).train) == 4
    photos["b"].file_names[2] = "train/2.jpg"
    with pytest.raises(DataError, match=r"share 1 file name\(s\): train/2.jpg"):
        select_photos(manifest(tmp_path, splits, "identity: file name\n"), photos)


def test_a_split_may_be_a_list_of_ids(tmp_path: Path) -> None:
    splits = "{train: a, query: {source: b, ids: q.txt}, gallery: {source: b, ids: g.txt}}"
    (tmp_path / "q.txt").write_text("# queries\n12\n10  # the first\n\n")
    (tmp_path / "g.txt").write_text("11\n13\n")
    photos = {"a": table(range(10)), "b": table(range(10, 20))}
    found = select_photos(manifest(tmp_path, splits), photos)
    assert found.query.tolist() == [0, 2]
    (tmp_path / "g.txt").write_text("11\n99\n")
    with pytest.raises(DataError, match=r"g\.txt: names photo 99, not in source 'b'"):
        select_photos(manifest(tmp_path, splits), photos)
    (tmp_path / "g.txt").write_text("11\nx.jpg\n")
    with pytest.raises(DataError, match=r"g\.txt:2: expected one whole number"):
        select_photos(manifest(tmp_path, splits), photos)
    (tmp_path / "g.txt").write_text("")
    with pytest.raises(DataError, match="split 'gallery' is empty"):
        select_photos(manifest(tmp_path, splits), photos)


def test_subsets(tmp_path: Path) -> None:
    loaded = manifest(tmp_path, "{train: a, query: b, gallery: b}", "subsets: {checked: {annotations: c.json}}\n")
    (tmp_path / "c.json").write_text(json.dumps({"images": [{"id": 9, "x": 1}, {"id": 4}], "annotations": []}))
    assert subset_photo_ids(loaded)["checked"].tolist() == [4, 9]
    (tmp_path / "c.json").write_text('{"images": [{"id": "9"}]}')
    with pytest.raises(DataError, match=r"c\.json: is not a COCO annotation file"):
        subset_photo_ids(loaded)
    (tmp_path / "c.json").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        subset_photo_ids(loaded)


def test_real_collections(real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AERET_DATA", str(real_data))
    for name, train, query in (("coco_mix", 2798, 682), ("msrc23", 409, 180)):
        loaded = load_manifest(name)
        found = select_photos(
            loaded, {source: read_collection(loaded.sources[source].annotations) for source in loaded.used_sources}
        )
        assert (len(found.train), len(found.query), found.leave_one_out) == (train, query, True)
    assert len(subset_photo_ids(load_manifest("coco_mix"))["truemasks"]) == 216
