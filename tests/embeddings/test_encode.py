from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aeret.embeddings.encode import write_parts
from aeret.errors import UsageError

IDS = np.arange(10, dtype=np.int64) + 100

# Encodes ten rows in parts of three and hangs in the third part, as a run does that is about to be killed.
HANGS = """
import sys, time
from pathlib import Path
import numpy as np
from aeret.embeddings.encode import write_parts

def encode(rows):
    if rows[0] == 6:
        Path(sys.argv[1], "hanging").touch()
        time.sleep(60)
    return {"vectors": np.stack([rows, rows], axis=1).astype(np.float32)}

write_parts(Path(sys.argv[1]) / "set", np.arange(10) + 100, encode, part_size=3)
"""


class Encoder:
    """Remembers which rows it was asked for."""

    def __init__(self, width: int = 2) -> None:
        self.asked: list[int] = []
        self.width = width

    def __call__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        self.asked += rows.tolist()
        vectors = np.repeat(rows[:, None], self.width, axis=1).astype(np.float32)
        return {"vectors": vectors, "codes": -vectors[:, :1]}


def test_parts_are_joined_in_order(tmp_path: Path) -> None:
    encoder = Encoder()
    names = np.array([f"{i}.jpg" for i in IDS])
    made = write_parts(tmp_path, IDS, encoder, part_size=4, columns={"file_name": names})
    assert encoder.asked == list(range(10))
    np.testing.assert_array_equal(made.vectors[:, 0], np.arange(10))
    np.testing.assert_array_equal(made.matrices["codes"][:, 0], -np.arange(10))
    np.testing.assert_array_equal(made.ids, IDS)
    assert list(made.columns["file_name"]) == list(names)
    assert not (tmp_path / "parts").exists()


def test_a_killed_run_resumes_at_the_first_missing_part(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HANGS, str(tmp_path)])
    for _ in range(600):
        if (tmp_path / "hanging").exists():
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert sorted(p.name for p in (tmp_path / "set" / "parts").glob("*.npz")) == ["000000.npz", "000001.npz"]

    asked: list[int] = []

    def encode(rows: np.ndarray) -> dict[str, np.ndarray]:
        asked.extend(rows.tolist())
        return {"vectors": np.stack([rows, rows], axis=1).astype(np.float32)}

    made = write_parts(tmp_path / "set", IDS, encode, part_size=3)
    assert asked == [6, 7, 8, 9]
    np.testing.assert_array_equal(made.vectors[:, 1], np.arange(10))


@pytest.mark.parametrize("change", [{"ids": IDS + 1}, {"part_size": 5}, {"made_by": "another model"}])
def test_parts_of_another_task_are_not_reused(tmp_path: Path, change: dict[str, object]) -> None:
    task: dict[str, object] = {"ids": IDS, "part_size": 3, "made_by": "a model"}

    def interrupted(rows: np.ndarray) -> dict[str, np.ndarray]:
        if rows[0] == 3:
            raise KeyboardInterrupt
        return Encoder()(rows)

    with pytest.raises(KeyboardInterrupt):
        write_parts(tmp_path, encode=interrupted, **task)  # type: ignore[arg-type]
    again = Encoder()
    write_parts(tmp_path, encode=again, **task | change)  # type: ignore[arg-type]
    assert again.asked == list(range(10))


def test_an_encoder_that_breaks_its_promise_is_stopped(tmp_path: Path) -> None:
    def nothing(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"codes": np.zeros((len(rows), 1), np.float32)}

    def short(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"vectors": np.zeros((1, 2), np.float32)}

    def diverged(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"vectors": np.where(rows[:, None] == 7, np.nan, 0).astype(np.float32)}

    for encode, message in ((nothing, "float32"), (short, "10 photos"), (diverged, "row 7")):
        with pytest.raises(UsageError, match=message):
            write_parts(tmp_path, IDS, encode, part_size=10)


def test_no_photos_make_an_empty_set(tmp_path: Path) -> None:
    made = write_parts(tmp_path, IDS[:0], Encoder(), part_size=4)
    assert made.vectors.shape == (0, 2)
