"""A run killed at any moment continues to the weights of an unbroken run, bit for bit.

Real processes are killed with SIGKILL at moments spread over the run, start-up and checkpoint writing included.
"""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tiny_training import PLATEAU, Points, Regression, weights

from aeret.settings import TrainingSettings
from aeret.training import checkpoint, fit

PROGRAM = Path(__file__).parent / "tiny_training.py"
SETTINGS = TrainingSettings(**PLATEAU)
STOPPING = TrainingSettings(**PLATEAU | {"epochs": 12, "early_stop_patience": 3})
TIMES = ("seconds", "train_seconds", "examples_per_second")


def run(folder: Path, stop=None, settings=SETTINGS) -> list[np.ndarray]:
    """Train in this process; ``stop`` may raise in the middle. Returns :func:`result`."""
    model = Regression()
    train = Points(36, 0, True)
    if stop:
        batch = train.batch
        train.batch = lambda epoch, index: (stop(epoch, index), batch(epoch, index))[1]
    fit(model, train, Points(12, 0, False), settings, folder, 0)
    return result(folder, weights(model))


def result(folder: Path, kept: list[np.ndarray]) -> list[np.ndarray]:
    """Return the history without its times, the kept weights, and all state after the last epoch."""
    with (folder / "history.csv").open() as file:
        rows = [[float(row[name]) for name in row if name not in TIMES] for row in csv.DictReader(file)]
    with np.load(folder / checkpoint.FILE) as file:
        return [np.array(rows), *kept, *(file[name] for name in file.files if name != "meta")]


def assert_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> list[np.ndarray]:
    found = run(tmp_path_factory.mktemp("unbroken"))
    rates = found[0][:, 1]
    # Else a break at (5, 2) would not be within the wait for the plateau.
    np.testing.assert_allclose(rates[4:], [0.3, 0.3, 0.03])
    return found


class Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", [(0, 3), (1, 0), (5, 2)])
def test_broken_within_an_epoch(tmp_path, unbroken, moment):
    def stop(epoch, index):
        if (epoch, index) == moment:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path, stop)
    assert_same(run(tmp_path), unbroken)


@pytest.mark.parametrize("epoch", [5, 6])
def test_broken_while_waiting_to_stop_early(tmp_path, epoch):
    def stop(at, index):
        if (at, index) == (epoch, 1):
            raise Killed

    expected = run(tmp_path / "unbroken", settings=STOPPING)
    assert len(expected[0]) == 7  # the best is epoch 4; 5, 6 and 7 were waited
    with pytest.raises(Killed):
        run(tmp_path / "broken", stop, STOPPING)
    assert_same(run(tmp_path / "broken", settings=STOPPING), expected)


@pytest.mark.parametrize(("name", "call"), [("save_best", 1), ("save_best", 2), ("save", 2), ("load_best", 1)])
@pytest.mark.parametrize("when", ["before", "after"])
def test_broken_around_a_write(tmp_path, unbroken, monkeypatch, name, when, call):
    original, calls = getattr(checkpoint, name), []

    def broken(*args):
        calls.append(args)
        if len(calls) == call and when == "before":
            raise Killed
        original(*args)
        if len(calls) == call:
            raise Killed

    monkeypatch.setattr(checkpoint, name, broken)
    with pytest.raises(Killed):
        run(tmp_path)
    monkeypatch.undo()
    assert_same(run(tmp_path), unbroken)


def test_broken_half_way_through_a_file(tmp_path, unbroken, monkeypatch):
    def half(path, arrays, meta):
        if path.name == checkpoint.FILE and meta["epoch"] == 3:
            path.with_name(f".{path.name}.tmp").write_bytes(b"PK\x03\x04 half of it")
            raise Killed
        whole(path, arrays, meta)

    whole = checkpoint._write
    monkeypatch.setattr(checkpoint, "_write", half)
    with pytest.raises(Killed):
        run(tmp_path)
    monkeypatch.undo()
    assert_same(run(tmp_path), unbroken)


def test_history_has_every_epoch_once_after_a_break(tmp_path):
    def stop(epoch, index):
        if epoch == 4:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path, stop)
    run(tmp_path)
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch", "1", "2", "3", "4", "5", "6", "7"]


@pytest.mark.slow
def test_killed_processes_reach_the_same_weights(tmp_path, unbroken):
    """SIGKILL at two moments of one run, each process going on where the last one was killed."""
    folder = tmp_path / "killed"
    for epochs, seconds in ((0, 0.05), (3, 0.12)):
        process = _start(folder, tmp_path / "never.npz", slow=True)
        _wait_for_epochs(process, folder, epochs)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "never.npz").exists()
    assert _start(folder, tmp_path / "found.npz").wait() == 0
    with np.load(tmp_path / "found.npz") as file:
        assert_same(result(folder, [file[name] for name in file.files]), unbroken)


def _start(folder: Path, result: Path, slow: bool = False) -> subprocess.Popen:
    command = [sys.executable, str(PROGRAM), str(folder), str(result)] + (["slow"] if slow else [])
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, cwd=PROGRAM.parents[2])


def _wait_for_epochs(process: subprocess.Popen, folder: Path, epochs: int) -> None:
    history = folder / "history.csv"
    deadline = time.monotonic() + 120
    while not (history.exists() and len(history.read_text().splitlines()) > epochs):
        assert process.poll() is None, "the run ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
