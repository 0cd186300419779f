"""Kept columns: the same as reading, of the right file only, rebuilt where anything is wrong with them."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeret.data import collection, collection_cache
from aeret.data.collection import Collection, read_collection
from aeret.data.masks import rasterise
from aeret.errors import DataError

LONG_AGO = 1_000_000_000 * 10**9


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache that takes files of any size and any age."""
    monkeypatch.setenv("AERET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(collection_cache, "_SMALLEST", 0)
    monkeypatch.setattr(collection_cache, "_FRESH_NS", -(10**12))
    return tmp_path / "cache" / "collections"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The annotation files that were read, one entry each time."""
    seen: list[Path] = []
    read = collection.read_columns
    monkeypatch.setattr(collection, "read_columns", lambda path: (seen.append(path), read(path))[1])
    return seen


def content(names: str = "ab") -> dict[str, Any]:
    return {
        "images": [
            {"id": place, "file_name": f"{name} é.jpg", "width": 6, "height": 4, "grey": name == "b"}
            for place, name in enumerate(names)
        ],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 7, "area": -0.0, "segmentation": [[0, 0, 6, 0, 6, 4.5]]},
            {"id": 2, "image_id": 1, "category_id": 7, "segmentation": {"size": [4, 6], "counts": [20, 4]}},
            {"id": 3, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]},
        ],
        "categories": [{"id": 7, "name": "Hündin", "supercategory": "animal"}],
    }


def write(path: Path, names: str = "ab") -> Path:
    path.write_text(json.dumps(content(names)))
    return path


def same(one: Collection, other: Collection) -> None:
    assert vars(one).keys() == vars(other).keys()
    for name, value in vars(one).items():
        pairs = [(value, getattr(other, name))]
        if isinstance(value, dict):
            assert list(value) == list(pairs[0][1])
            pairs = list(zip(value.values(), pairs[0][1].values(), strict=True))
        for mine, its in pairs:
            assert type(mine) is type(its)
            if isinstance(mine, np.ndarray):
                assert (mine.dtype, mine.shape, mine.tobytes()) == (its.dtype, its.shape, its.tobytes()), name
            else:
                assert mine == its


def test_the_second_opening_reads_nothing_and_is_the_same(tmp_path: Path, folder: Path, reads: list[Path]) -> None:
    path = write(tmp_path / "a.json")
    plain = read_collection(path, cache=False)
    assert not folder.exists()
    first, second = read_collection(path), read_collection(path)
    assert len(reads) == 2 and len(list(folder.iterdir())) == 1
    same(first, plain)
    same(second, plain)
    # Whoever uses it may write, as to what was just read, and no one else sees that.
    second.points[:] = 0
    same(read_collection(path), plain)
    np.testing.assert_array_equal(rasterise(read_collection(path), [0, 1], 8).bits, rasterise(plain, [0, 1], 8).bits)


def test_no_annotation(tmp_path: Path, folder: Path, reads: list[Path]) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content() | {"annotations": []}))
    same(read_collection(path), read_collection(path))
    assert len(reads) == 1


def test_a_changed_file_is_read_again(tmp_path: Path, folder: Path, reads: list[Path]) -> None:
    path = write(tmp_path / "a.json")
    read_collection(path)
    status = path.stat()
    write(path, "xb")
    # The same size, and a copy that keeps the old time: the time of its record still differs.
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert read_collection(path).file_names == ["x é.jpg", "b é.jpg"]
    other = tmp_path / "elsewhere"
    other.mkdir()
    read_collection(write(other / "a.json"))
    assert len(reads) == 3 and len(list(folder.iterdir())) == 2
    (tmp_path / "link.json").symlink_to(path)
    assert read_collection(tmp_path / "link.json").file_names[0] == "x é.jpg"
    assert len(reads) == 3


def test_another_reader_reads_again(
    tmp_path: Path, folder: Path, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.json")
    read_collection(path)
    monkeypatch.setattr(collection_cache, "_reader", lambda: "of tomorrow")
    read_collection(path)
    read_collection(path)
    assert len(reads) == 2


def test_any_damage_is_mended(
    tmp_path: Path, folder: Path, reads: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "a.json")
    plain = read_collection(path)
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    caplog.set_level(logging.INFO)
    damages = [whole[:end] for end in range(0, len(whole), 37)]
    damages += [whole[:at] + bytes([whole[at] ^ 16]) + whole[at + 1 :] for at in range(0, len(whole), 11)]
    for damaged in [*damages, whole + b"\1" * 64, b"\0" * len(whole)]:
        kept.write_bytes(damaged)
        caplog.clear()
        before = len(reads)
        same(read_collection(path), plain)
        assert len(reads) == before + 1 and "damaged" in caplog.text
        assert kept.read_bytes() == whole


def test_switched_off(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.json")
    monkeypatch.setenv("AERET_COLLECTION_CACHE", "off")
    read_collection(path)
    monkeypatch.delenv("AERET_COLLECTION_CACHE")
    monkeypatch.setattr(collection_cache, "_SMALLEST", 10**9)
    read_collection(path)
    monkeypatch.setattr(collection_cache, "_SMALLEST", 0)
    monkeypatch.setattr(collection_cache, "_FRESH_NS", 10**12)  # changed just now, and perhaps once more
    read_collection(path)
    assert not folder.exists()


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, folder: Path, reads: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder.parent.write_text("a file is in the way")
    path = write(tmp_path / "a.json")
    same(read_collection(path), read_collection(path))
    assert len(reads) == 2 and "cannot be kept" in caplog.text


def test_many_writers(tmp_path: Path, folder: Path) -> None:
    path = write(tmp_path / "a.json")
    plain = read_collection(path, cache=False)
    found: list[Collection] = []
    threads = [
        threading.Thread(target=lambda: found.extend(read_collection(path) for _ in range(20))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80 and len(list(folder.iterdir())) == 1
    for each in found:
        same(each, plain)


def test_it_stays_small(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write(tmp_path / f"{number}.json") for number in range(4)]
    read_collection(paths[0])
    (kept,) = folder.iterdir()
    monkeypatch.setattr(collection_cache, "_MOST", 3 * kept.stat().st_size)
    for number, path in enumerate(paths[1:], 1):
        for old in folder.iterdir():
            os.utime(old, ns=(LONG_AGO + number, old.stat().st_mtime_ns - 10**9))
        read_collection(paths[0])  # is in use, so stays
        read_collection(path)
    assert len(list(folder.iterdir())) == 3
    assert kept.exists()


def test_a_file_that_breaks_a_rule_is_not_kept(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content())[:-9])
    for _ in range(2):
        with pytest.raises(DataError, match="truncated-json"):
            read_collection(path)
    assert not folder.exists()
