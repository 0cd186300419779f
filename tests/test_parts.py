"""Parts: the same bytes after any break, parts of another job never taken, nothing half written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aeret.errors import DataError, ResourceError
from aeret.parts import Arrays, Parts, bytes_below, demand_room, in_order, on_threads
from aeret.progress import Step

SIZES = [3, 3, 2]


def make(number: int) -> Arrays:
    """Arrays of one part: as many rows as items, and another number of planes."""
    rows = np.arange(3 * number, 3 * number + SIZES[number])
    return {"vectors": np.sqrt(rows)[:, None] * np.ones(4), "planes": np.full(2 * number, number, np.int16)}


def finished(folder: Path, job: Any = "a job") -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    parts = Parts(folder / "parts", job, SIZES)
    parts.fill(lambda missing: map(make, missing))
    parts.join(folder)
    parts.clear()
    assert not (folder / "parts").exists()
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def saved_at_once(folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    for name in make(0):
        np.save(folder / f"{name}.npy", np.concatenate([make(number)[name] for number in range(3)]))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refuse(number: int) -> Callable[[list[int]], Iterator[Arrays]]:
    """Return what makes parts until the one of this number."""

    def work(missing: list[int]) -> Iterator[Arrays]:
        for each in missing:
            if each == number:
                raise KeyboardInterrupt
            yield make(each)

    return work


def test_parts_are_joined_to_the_bytes_of_one_save(tmp_path: Path) -> None:
    assert finished(tmp_path / "out") == saved_at_once(tmp_path / "whole")


def test_empty_parts_are_joined(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts", "empty", [0])
    parts.fill(lambda missing: [{"vectors": np.zeros((0, 4), np.float32)}])
    parts.join(tmp_path)
    assert np.load(tmp_path / "vectors.npy").shape == (0, 4)


@pytest.mark.parametrize("number", range(3))
def test_a_broken_run_goes_on_to_the_same_bytes(tmp_path: Path, number: int) -> None:
    seen = []

    @contextmanager
    def progress(title: str, total: int, unit: str = "item", done: int = 0) -> Iterator[Step]:
        seen.append((total, done))
        yield lambda count: None

    for again in range(2):
        parts = Parts(tmp_path / "out/parts", "a job", SIZES)
        with pytest.raises(KeyboardInterrupt):
            parts.fill(refuse(number), progress)
        assert parts.missing() == list(range(number, 3))
        assert seen[again] == (8, again * sum(SIZES[:number]))
    assert finished(tmp_path / "out") == saved_at_once(tmp_path / "whole")


def test_a_process_killed_while_it_writes_a_part_is_resumed(tmp_path: Path) -> None:
    code = f"""
import os, numpy as np
from pathlib import Path
from aeret.parts import Parts
from tests.test_parts import SIZES, make
def die(file, **arrays):
    file.write(b"half of a part")
    file.flush()
    os._exit(9)
def work(missing):
    for number in missing:
        if number == 1:
            np.savez = die
        yield make(number)
Parts(Path({str(tmp_path / "out/parts")!r}), "a job", SIZES).fill(work)
"""
    root = Path(__file__).parent.parent
    env = {**os.environ, "PYTHONPATH": str(root)}
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=root, env=env).returncode == 9
    assert Parts(tmp_path / "out/parts", "a job", SIZES).missing() == [1, 2]
    assert finished(tmp_path / "out") == saved_at_once(tmp_path / "whole")


@pytest.mark.parametrize("job, sizes", [("another job", SIZES), ("a job", [3, 5])])
def test_parts_of_another_job_are_removed(tmp_path: Path, job: str, sizes: list[int]) -> None:
    Parts(tmp_path, "a job", SIZES).fill(lambda missing: map(make, missing))
    assert Parts(tmp_path, "a job", SIZES).missing() == []
    assert Parts(tmp_path, job, sizes).missing() == list(range(len(sizes)))
    assert Parts(tmp_path, "a job", SIZES).missing() == [0, 1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda old: b"",
        lambda old: old[:-9],
        lambda old: old.replace(b"\0\0\xf0?", b"9999"),
        lambda old: old[:400].ljust(len(old), b"\0"),
    ],
    ids=["empty", "cut off", "other numbers", "zeros"],
)
def test_a_damaged_part_is_made_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    parts = Parts(tmp_path / "out/parts", "a job", SIZES)
    parts.fill(lambda missing: map(make, missing))
    path = tmp_path / "out/parts/000000.npz"
    path.write_bytes(damage(path.read_bytes()))
    assert parts.missing() == [0]
    assert finished(tmp_path / "out") == saved_at_once(tmp_path / "whole")


def test_a_full_disk_leaves_the_parts_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(tmp_path / "out/parts", "a job", SIZES)
    fsync, calls = os.fsync, []

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr(os, "fsync", full)
        parts.fill(lambda missing: map(make, missing))
    assert parts.missing() == [1, 2]
    assert sorted(path.name for path in parts.folder.iterdir()) == ["000000.npz", "job"]
    assert finished(tmp_path / "out") == saved_at_once(tmp_path / "whole")


def test_named_parts_are_replaced_and_read_back(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "parts", {"epochs": 3})
    assert parts.load("checkpoint") is None
    for epoch in (1, 2):
        parts.save("checkpoint", {"epoch": np.array(epoch)})
    found = Parts(tmp_path / "parts", {"epochs": 3}).load("checkpoint")
    assert found is not None and found["epoch"] == 2


@pytest.mark.parametrize("second", [np.zeros((2, 4)), np.zeros((2, 3), np.float32)])
def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path, second: np.ndarray[Any, Any]) -> None:
    parts = Parts(tmp_path / "parts", "a job", [2, 2])
    parts.fill(lambda missing: [{"vectors": np.zeros((2, 3))}, {"vectors": second}])
    with pytest.raises(DataError, match=r"000001\.npz: 'vectors' is .* as in the first part"):
        parts.join(tmp_path)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_threads_yield_in_order(threads: int) -> None:
    assert list(on_threads(make, range(3), threads))[2]["planes"].tolist() == [2, 2, 2, 2]
    assert list(on_threads(make, [], threads)) == []


def test_no_more_is_begun_than_asked_for() -> None:
    begun: list[int] = []
    with ThreadPoolExecutor(4) as pool:
        results = in_order(pool, begun.append, range(100), 2)
        next(results)
        assert len(begun) <= 3
        results.close()
    assert len(begun) <= 3


def test_a_disk_without_room_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(5000))
    assert bytes_below(tmp_path) >= 5000
    demand_room(tmp_path, 1, "for a test", "free some.")
    with pytest.raises(ResourceError, match=r"GiB are needed for a test, .* are free; free some\."):
        demand_room(tmp_path, 1 << 60, "for a test", "free some.")
