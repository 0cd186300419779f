"""Index folders that are damaged, foreign, or were being written when the process was killed."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from index_material import assert_same, material

from aeret.errors import DataError, UsageError
from aeret.retrieval.indexes import INDEXES, Index, open_index


@pytest.fixture(scope="module", params=list(INDEXES))
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indexes") / request.param
    INDEXES[request.param].build(material(request.param, 0, 60)).save(folder)
    return folder


def test_a_cut_or_lost_file_is_found_before_it_is_mapped(saved: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in saved.iterdir())
    assert "index.json" in names and len(names) > 2
    for name in names:
        for damage in ("cut", "lost"):
            folder = tmp_path / damage / name
            shutil.copytree(saved, folder)
            if damage == "lost":
                (folder / name).unlink()
            else:
                content = (folder / name).read_bytes()
                (folder / name).write_bytes(content[: len(content) // 2])
            with pytest.raises(DataError, match="index"):
                open_index(folder)


def test_rubbish_of_the_right_size_is_an_error_too(saved: Path, tmp_path: Path) -> None:
    for path in saved.iterdir():
        if path.suffix not in (".npy", ".faiss"):
            continue
        folder = tmp_path / path.name
        shutil.copytree(saved, folder)
        (folder / path.name).write_bytes(b"\x00" * path.stat().st_size)
        with pytest.raises(DataError, match="damaged"):
            open_index(folder)


def flat(seed: int) -> tuple[Index, np.ndarray]:
    vectors = material("flat", seed, 30)
    return INDEXES["flat"].build(vectors), vectors


def test_foreign_folders_are_neither_read_nor_written_over(tmp_path: Path) -> None:
    index, _ = flat(0)
    for folder in (tmp_path / "absent", tmp_path / "other"):
        with pytest.raises(DataError, match="holds no index"):
            open_index(folder)
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not written over"):
        index.save(tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("text")
    with pytest.raises(UsageError, match="not written over"):
        index.save(tmp_path / "file")
    with pytest.raises(DataError, match="holds no index"):
        open_index(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    index.save(tmp_path / "empty")
    assert len(open_index(tmp_path / "empty")) == 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 99}, "format 99"),
        ({"kind": "crystal-ball"}, "crystal-ball"),
        ({"vectors": 29}, "damaged"),
        ({"files": None}, "damaged"),
    ],
)
def test_a_manifest_that_does_not_fit_is_an_error(change: dict[str, object], message: str, tmp_path: Path) -> None:
    index, _ = flat(0)
    index.save(tmp_path / "index")
    path = tmp_path / "index" / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=message):
        open_index(tmp_path / "index")


def test_the_class_must_be_that_of_the_folder(tmp_path: Path) -> None:
    flat(0)[0].save(tmp_path / "index")
    with pytest.raises(DataError, match="kind 'flat', not 'pq'"):
        INDEXES["pq"].load(tmp_path / "index")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_a_killed_save_leaves_the_old_index_or_the_new(
    renames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, vectors = flat(0)
    new, _ = flat(1)
    folder = tmp_path / "index"
    old.save(folder)
    rename, remove, done = Path.rename, shutil.rmtree, [0]

    def counted(path: Path, target: Path) -> Path:
        if done[0] == renames:
            raise Killed
        done[0] += 1
        return rename(path, target)

    def nothing(*_: object, **__: object) -> None:
        """A killed process cleans nothing up."""

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "rename", counted)
        patch.setattr("aeret.retrieval.indexes.replacing.shutil.rmtree", nothing)
        new.save(folder)
        raise Killed
    expected = new if renames == 2 else old
    assert_same(open_index(folder).search(vectors, 5), expected.search(vectors, 5))
    # The next save goes through and clears what was left.
    new.save(folder)
    assert_same(open_index(folder).search(vectors, 5), new.search(vectors, 5))
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    assert remove is shutil.rmtree


def test_a_reader_between_the_renames_waits_and_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, vectors = flat(0)
    new, _ = flat(1)
    folder = tmp_path / "index"
    old.save(folder)
    rename, opened = Path.rename, list[Index]()
    reader = threading.Thread(target=lambda: opened.append(open_index(folder)))

    def met_by_a_reader(path: Path, target: Path) -> Path:
        result = rename(path, target)
        if path == folder:
            reader.start()
            reader.join(0.2)
            assert reader.is_alive()
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", met_by_a_reader)
        new.save(folder)
    reader.join()
    for index in (*opened, open_index(folder)):
        assert_same(index.search(vectors, 5), new.search(vectors, 5))
    assert len(opened) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_vectors_are_mapped_and_not_read(tmp_path: Path) -> None:
    flat(0)[0].save(tmp_path / "index")
    for mmap in (True, False):
        held = open_index(tmp_path / "index", mmap)._state()["vectors"]
        assert isinstance(held.base, np.memmap) == mmap
