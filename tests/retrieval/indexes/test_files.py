"""Index folders that are damaged, foreign, or were being written when the process was killed."""

from __future__ import annotations

import json
import shutil
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


def test_a_save_killed_at_any_file_leaves_the_old_index_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, vectors = flat(0)
    new, _ = flat(1)
    replace, folder, whole = Path.replace, tmp_path / "index", []
    for allowed in range(5):
        shutil.rmtree(folder, ignore_errors=True)
        old.save(folder)
        done = 0

        def counted(path: Path, target: Path, allowed: int = allowed) -> Path:
            nonlocal done
            if done == allowed:
                raise Killed
            done += 1
            return replace(path, target)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Path, "replace", counted)
            patch.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process cleans nothing up
            new.save(folder)
            raise Killed
        found = open_index(folder).search(vectors, 5)
        whole.append(np.array_equal(found.rows, new.search(vectors, 5).rows))
        assert whole[-1] or np.array_equal(found.rows, old.search(vectors, 5).rows)
        # The next save goes through and clears what was left.
        new.save(folder)
        assert_same(open_index(folder).search(vectors, 5), new.search(vectors, 5))
        assert len(list(folder.iterdir())) == 3
    assert whole == sorted(whole) and not whole[0] and whole[-1]


def test_a_first_save_that_was_killed_is_no_foreign_folder(tmp_path: Path) -> None:
    index, vectors = flat(0)
    (tmp_path / "ids.1.npy.tmp").write_bytes(b"half")
    index.save(tmp_path)
    assert_same(open_index(tmp_path).search(vectors, 5), index.search(vectors, 5))
    assert not (tmp_path / "ids.1.npy.tmp").exists()


def test_a_reader_that_meets_a_save_reads_the_new_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, vectors = flat(0)
    new, _ = flat(1)
    old.save(tmp_path / "index")
    load, met = np.load, []

    def met_by_a_save(path: Path, *options: object, **named: object) -> object:
        if not met:
            met.append(path)
            new.save(tmp_path / "index")
        return load(path, *options, **named)

    with monkeypatch.context() as patch:
        patch.setattr(np, "load", met_by_a_save)
        index = open_index(tmp_path / "index")
    assert_same(index.search(vectors, 5), new.search(vectors, 5))


def test_vectors_are_mapped_and_not_read(tmp_path: Path) -> None:
    flat(0)[0].save(tmp_path / "index")
    for mmap in (True, False):
        held = open_index(tmp_path / "index", mmap)._state()["vectors"]
        assert isinstance(held.base, np.memmap) == mmap
