"""Real `aeret` processes on a tiny drawn collection: up to date, killed, two at once, and how each ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from aeret.data.scenes import generate_scenes

PATIENCE = 600.0
"""Seconds; machines that test may be busy."""
MANIFEST = """
name: tiny
description: twelve drawn photos
root: {root}
sources:
  train: {{photos: images, annotations: annotations/instances_train.json}}
  val: {{photos: images, annotations: annotations/instances_val.json}}
splits: {{train: train, query: val, gallery: val}}
"""
PIPELINE = """
pipeline: {{name: tiny, stages: [prepare]}}
data: {{manifest: {manifest}, photo_size: 32, mask_size: 8, workers: 1}}
cnn: {{input_size: 32}}
evaluation: {{clusters: 2}}
"""


@dataclass
class Bench:
    """A folder to run `aeret` in; its processes end with the test."""

    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "runs"

    def start(self, *arguments: str, blocks: int | str = "unlimited") -> subprocess.Popen[str]:
        """Start `aeret`; ``blocks`` of 512 bytes are the largest file that it and its stages may write."""
        limited = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh"]
        process = subprocess.Popen(
            [*limited, sys.executable, "-m", "aeret", *arguments],
            cwd=self.folder,
            env=os.environ | {"AERET_RUNS": str(self.root), "AERET_CACHE": str(self.folder / "cache")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, *arguments: str, blocks: int | str = "unlimited") -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, blocks=blocks)
        out, err = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in err
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def stopped_in_stage(self) -> tuple[subprocess.Popen[str], int]:
        """Start the pipeline and stop its stage's process while it writes; return both."""
        process = self.start("run", "tiny.yaml")
        wait_for(lambda: list((self.root / "artifacts" / "prepare").glob("*.partial/attempts")))
        (child,) = children(process.pid)
        os.kill(child, signal.SIGSTOP)
        assert not list((self.root / "artifacts" / "prepare").glob("*/artifact.json"))
        return process, child

    def statuses(self) -> list[str]:
        lines = self.run("runs", "list", "--json").stdout.splitlines()
        return [json.loads(line)["status"] for line in lines]


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "tiny"
    generate_scenes(folder, 12, seed=0, size=(48, 64), workers=1)
    (folder / "tiny.yaml").write_text(MANIFEST.format(root=folder))
    return folder


@pytest.fixture
def bench(collection: Path, tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "tiny.yaml").write_text(PIPELINE.format(manifest=collection / "tiny.yaml"))
    made = Bench(tmp_path)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    if not listed.is_file():
        pytest.skip("needs /proc/<process>/task/<process>/children")
    return [int(text) for text in listed.read_text().split()]


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"  # a zombie is dead, whoever should bury it


@pytest.mark.slow
def test_the_second_time_all_is_up_to_date(bench: Bench) -> None:
    first = bench.run("run", "tiny.yaml")
    assert (first.returncode, first.stdout.count("[1/1] prepare ...")) == (0, 1), first.stderr
    assert "would run" not in bench.run("run", "tiny.yaml", "--dry-run").stdout
    second = bench.run("run", "--config", "tiny.yaml")
    assert second.returncode == 0
    assert "[1/1] prepare: up to date" in second.stdout
    assert bench.statuses() == ["done", "done"]
    listed = bench.run("runs", "list").stdout.splitlines()
    assert [line.split()[1] for line in listed] == ["done", "done"]
    name = listed[-1].split()[0]
    shown = bench.run("runs", "show", "latest").stdout
    assert shown.startswith(f"{name}: done, ")
    assert "  data.photo_size = 32\n" in shown
    assert "prepare       up to date" in shown
    assert (bench.root / "history" / name / "prepare" / "artifact.json").is_file()
    other = bench.run("run", "tiny.yaml", "--set", "data.mask_size=16", "--dry-run").stdout
    assert "would run" in other
    left = sorted(path.suffix for path in (bench.root / "artifacts" / "prepare").iterdir())
    assert left == [""], "no lock, partial folder or settings file stays"


@pytest.mark.slow
def test_kill_9_leaves_no_process_and_the_same_command_finishes(bench: Bench) -> None:
    process, child = bench.stopped_in_stage()
    below = [child, *children(child)]
    process.kill()
    process.wait(PATIENCE)
    wait_for(lambda: not any(alive(each) for each in below))
    assert bench.statuses() == ["running"]
    left = {path.suffix for path in (bench.root / "artifacts" / "prepare").iterdir()}
    assert left <= {".lock", ".partial"}, "what the next run takes over or removes"
    again = bench.run("run", "tiny.yaml")
    assert again.returncode == 0, again.stderr
    (record,) = (bench.root / "artifacts" / "prepare").glob("*/artifact.json")
    assert json.loads(record.read_text())["attempts"] == 2


@pytest.mark.slow
def test_of_two_at_once_one_writes_and_the_other_says_so(bench: Bench) -> None:
    first, child = bench.stopped_in_stage()
    second = bench.run("run", "tiny.yaml")
    assert second.returncode == 1
    assert "another process is writing this artifact" in second.stderr
    os.kill(child, signal.SIGCONT)
    _, err = first.communicate(timeout=PATIENCE)
    assert first.returncode == 0, err
    assert sorted(bench.statuses()) == ["done", "failed"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_says_so_once(bench: Bench, number: signal.Signals) -> None:
    process, child = bench.stopped_in_stage()
    process.send_signal(number)
    if number == signal.SIGINT:
        os.kill(child, number)  # a terminal sends it to both
    os.kill(child, signal.SIGCONT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err.count("Interrupted") == 1
    assert "Traceback" not in err
    assert not alive(child)
    assert bench.statuses() == ["interrupted"]


@pytest.mark.slow
def test_a_stage_that_is_killed_names_the_likely_cause(bench: Bench) -> None:
    process, child = bench.stopped_in_stage()
    os.kill(child, signal.SIGKILL)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "stage prepare was killed by signal 9 (SIGKILL). Most likely the memory ran out" in err
    assert bench.statuses() == ["failed"]


@pytest.mark.slow
def test_a_stage_that_cannot_write_ends_all_experiments(bench: Bench) -> None:
    (bench.folder / "whole.yaml").write_text("pipeline: {experiments: [tiny.yaml]}\n")
    text = (bench.folder / "tiny.yaml").read_text()
    (bench.folder / "tiny.yaml").write_text(text.replace("[prepare]", "[prepare], matrix: {data.mask_size: [8, 16]}"))
    # Room for the records, not for the photos.
    done = bench.run("run", "whole.yaml", blocks=40)
    assert "File too large" in done.stderr
    assert "stage prepare stopped for the reason above" in done.stderr
    assert done.returncode == 4
    assert bench.statuses() == ["failed"]
    again = bench.run("run", "tiny.yaml")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run"], 2, "Give a pipeline file"),
        (["run", "tiny.yaml", "--config", "tiny.yaml"], 2, "are both given; give one"),
        (["run", "tiny.yaml", "--set", "data.photo_sise=32"], 2, "did you mean 'photo_size'"),
        (["run", "tiny.yaml", "--set", "data.manifest=my #1.yaml"], 2, "my #1.yaml: no such manifest file"),
        (["stage", "train-ae", "--config", "tiny.yaml"], 1, "its input prepare has not been made"),
        (["data", "stats", "coco2017", "--config", "tiny.yaml"], 2, "give one of them"),
        (["run", "tiny.yaml", "--runs", "tiny.yaml/below"], 2, "a folder are mixed up there; move"),
        (["runs", "show", "latest"], 2, "holds no runs yet"),
    ],
)
def test_exit_codes(bench: Bench, arguments: list[str], code: int, message: str) -> None:
    done = bench.run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr


def test_data_check_finds_the_planted_error_and_takes_settings(bench: Bench, collection: Path) -> None:
    good = bench.run("data", "check", "--config", "tiny.yaml")
    assert (good.returncode, good.stdout) == (0, "tiny: 0 errors, 0 warnings\n"), good.stderr
    planted = json.loads((collection / "annotations" / "instances_val.json").read_text())
    planted["annotations"][0]["category_id"] = 999
    annotations = bench.folder / "broken.json"
    annotations.write_text(json.dumps(planted))
    manifest = MANIFEST.format(root=collection).replace("annotations/instances_val.json", str(annotations))
    (bench.folder / "broken.yaml").write_text(manifest)
    bad = bench.run("data", "check", "--set", "data.manifest=broken.yaml")
    assert bad.returncode == 2
    assert f"error: {annotations}: annotation {planted['annotations'][0]['id']}: " in bad.stdout
    assert "999" in bad.stdout
    assert bad.stdout.splitlines()[-1] == "tiny: 1 errors, 0 warnings"
    run = bench.run("run", "tiny.yaml", "--set", "data.manifest=broken.yaml")
    assert run.returncode == 2
    assert "fix the problem above" in run.stderr
    assert "same command" not in run.stderr


def test_data_show_says_how_many_it_drew(bench: Bench) -> None:
    done = bench.run("data", "show", "--config", "tiny.yaml", "--photos", "24", "--out", "sheet.png")
    assert (done.returncode, done.stdout) == (0, "sheet.png: 2 of the 2 photos of tiny (gallery)\n"), done.stderr
    assert (bench.folder / "sheet.png").is_file()
