import errno
import json
import multiprocessing
import os
from pathlib import Path

import pytest

from aeret.artifacts import (
    Record,
    digest,
    file_digest,
    locked,
    read_record,
    replacing_file,
    system_error,
    write_json,
    write_record,
    writing,
)
from aeret.errors import AeretError, DataError, ResourceError, RunError, UsageError


def record(**changes: object) -> Record:
    values = {
        "stage": "prepare", "key": "k", "settings": {}, "sections": ("data",), "inputs": {}, "sources": {},
        "code": "c", "seed": 0, "started": "2026-01-01T00:00:00+00:00",
    }  # fmt: skip
    return Record(**(values | changes))  # type: ignore[arg-type]


def test_digest_ignores_key_order_and_sees_values() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_file_digest_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent.txt: cannot be read"):
        file_digest(tmp_path / "absent.txt")


def test_record_round_trip(tmp_path: Path) -> None:
    write_record(tmp_path, record(metrics={"iou": 0.5}))
    assert read_record(tmp_path).metrics == {"iou": 0.5}


@pytest.mark.parametrize("content", [b'{"stage": "prep', b'{"stage": "prep\xff"}', b"[]"])
def test_damaged_record_says_what_to_do(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "artifact.json").write_bytes(content)
    with pytest.raises(DataError, match=r"is damaged .* delete .* and run the stage again"):
        read_record(tmp_path)


def test_nan_never_reaches_a_record(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_json(path, {"a": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="No space left on device"):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_a_file_takes_its_place_whole_and_on_the_disk_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, temporary = tmp_path / "a", tmp_path / ".a.tmp"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing_file(path, temporary) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert path.read_bytes() == b"old"
    synced: list[bytes] = []
    monkeypatch.setattr("aeret.artifacts.os.fsync", lambda _: synced.append(path.read_bytes()))
    with replacing_file(path, temporary) as file:
        file.write(b"new")
    assert synced == [b"old"]
    assert path.read_bytes() == b"new"


def test_an_artifact_appears_only_when_complete(tmp_path: Path) -> None:
    final = tmp_path / "made"
    with pytest.raises(KeyError), writing(final) as partial:
        (partial / "half").write_text("x")
        raise KeyError
    assert not final.exists()
    with writing(final) as partial:
        assert (partial / "half").read_text() == "x"  # a resumed run finds what the broken one left
    assert (final / "half").exists()
    assert not partial.exists()


def hold(folder: Path, ready: object, release: object) -> None:
    with writing(folder):
        ready.set()  # type: ignore[attr-defined]
        release.wait()  # type: ignore[attr-defined]


def test_two_processes_cannot_write_one_artifact(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "made", ready, release))
    other.start()
    assert ready.wait(30)
    with pytest.raises(RunError, match="another process is writing"), writing(tmp_path / "made"):
        pass
    release.set()
    other.join(30)
    assert other.exitcode == 0


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, release = context.Event(), context.Event()
    other = context.Process(target=hold, args=(tmp_path / "made", ready, release))
    other.start()
    assert ready.wait(30)
    other.kill()
    other.join(30)
    with writing(tmp_path / "made"):
        pass
    assert (tmp_path / "made").is_dir()


def test_a_lock_whose_file_was_removed_under_us_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first holder unlinks the lock between our open and our flock: what we then hold locks nothing."""
    import fcntl

    real, removed = fcntl.flock, []

    def late(file: object, operation: int) -> None:
        if not removed:
            removed.append(True)
            (tmp_path / "made.lock").unlink()
        real(file, operation)  # type: ignore[arg-type]

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(tmp_path / "made"):
        assert (tmp_path / "made.lock").is_file()
        monkeypatch.undo()
        with pytest.raises(RunError, match="another process is writing"), locked(tmp_path / "made"):
            pass
    assert removed
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_was_refused_leaves_no_partial_folder(tmp_path: Path) -> None:
    with locked(tmp_path / "made"), pytest.raises(RunError), writing(tmp_path / "made"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_name_too_long_is_a_mistake_of_the_users(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"too long\. Give another path"):
        write_json(tmp_path / ("a" * 300) / "run.json", {})


def test_a_file_where_a_folder_should_be_is_a_mistake_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written .*move the one that is in the way"):
        write_json(tmp_path / "file" / "below" / "run.json", {})


@pytest.mark.parametrize(
    ("number", "kind", "mend"),
    [
        ("ENOSPC", ResourceError, "Free some space"),
        ("EDQUOT", ResourceError, "Free some space"),
        ("EROFS", ResourceError, "another folder with --runs"),
        ("ENOMEM", ResourceError, "continues from here"),
        ("EFBIG", ResourceError, "continues from here"),
        ("ENOTDIR", UsageError, "move the one that is in the way"),
        ("EISDIR", UsageError, "move the one that is in the way"),
        ("EEXIST", UsageError, "move the one that is in the way"),
        ("EACCES", UsageError, "Make it readable and writable"),
        ("EPERM", UsageError, "Make it readable and writable"),
        ("ENOENT", RunError, "continues from here"),
    ],
)
def test_what_the_system_says_is_told_apart_by_whom_it_concerns(number: str, kind: type[AeretError], mend: str) -> None:
    error = OSError(getattr(errno, number), "as the system says", "some/file")
    made = system_error("it failed", error)
    assert type(made) is kind
    assert str(made).startswith("it failed: some/file: as the system says. ")
    assert mend in str(made)
