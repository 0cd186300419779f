"""How runs end in the record, and what a stage's process that ends badly becomes; toy stages, no ML."""

import errno
import json
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import aeret.pipeline.run as run_module
from aeret.errors import ResourceError, RunError, UsageError
from aeret.pipeline import history
from aeret.pipeline.execute import _as_yaml, _end, _raise_for, execute, execute_in_process
from aeret.pipeline.graph import plan
from aeret.pipeline.pipelines import Pipeline, read_pipeline, settings_of_file
from aeret.pipeline.run import run_pipeline
from aeret.progress import silent
from aeret.settings import Settings

Modules = dict[str, ModuleType]


@pytest.fixture
def pipeline(toy_stages: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    path = tmp_path / "toy.yaml"
    path.write_text("pipeline: {stages: [second], matrix: {seed: [0, 1]}}\n")
    monkeypatch.setattr("aeret.pipeline.pipelines.STAGES", {"first": "", "second": ""})
    monkeypatch.setattr(run_module, "execute_in_process", lambda task, settings, *rest: execute(task, settings, silent))
    return read_pipeline(path)


def test_cells_share_what_they_have_in_common(pipeline: Pipeline, tmp_path: Path) -> None:
    lines: list[str] = []
    one, two = run_pipeline(pipeline, tmp_path, lines.append)
    assert [[entry["how"] for entry in run.stages] for run in (one, two)] == [["made", "made"], ["up to date", "made"]]
    assert (one.status, one.group, one.id) == ("done", two.group, f"{one.group}.0")
    assert (history.folder_of(tmp_path, two) / "second" / "value").read_text() == "second(first(;0);1)"
    assert "  [1/2] first: up to date" in lines


def test_the_runs_of_one_command_read_the_collection_once(
    pipeline: Pipeline, toy_stages: Modules, tmp_path: Path
) -> None:
    read: list[int] = []

    def sources(settings: Settings) -> dict[str, str]:
        read.append(settings.seed)
        return {"instances.json": "abc"}

    toy_stages["first"].sources = sources  # type: ignore[attr-defined]
    for number in (1, 2):  # the second command looks again
        run_pipeline(pipeline, tmp_path, lambda line: None)
        assert len(read) == number


@pytest.mark.parametrize(
    ("error", "raised", "status"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, "interrupted"),
        (KeyboardInterrupt(signal.SIGTERM), KeyboardInterrupt, "interrupted"),
        (RunError("x"), RunError, "failed"),
        (OSError(28, "No space left on device"), ResourceError, "failed"),
        (ZeroDivisionError(), ZeroDivisionError, "failed"),
    ],
)
def test_every_end_is_recorded(
    pipeline: Pipeline,
    toy_stages: Modules,
    tmp_path: Path,
    error: BaseException,
    raised: type[BaseException],
    status: str,
) -> None:
    def bad(*args: object) -> None:
        raise error

    toy_stages["second"].run = bad  # type: ignore[attr-defined]
    with pytest.raises(raised):
        run_pipeline(pipeline, tmp_path, lambda line: None)
    (run,) = history.list_runs(tmp_path)
    assert (run.status, [entry["stage"] for entry in run.stages]) == (status, ["first"])
    assert run.finished


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        (1, RunError, "stage embed failed with exit code 1; the same command resumes it"),
        (4, ResourceError, "stage embed stopped for the reason above; .* the same command resumes"),
        (2, UsageError, "stage embed cannot run with this input; fix the problem above"),
        (-9, RunError, r"killed by signal 9 \(SIGKILL\). Most likely the memory ran out: .*lower data.workers"),
        (-11, RunError, r"killed by signal 11 \(SIGSEGV\). The same command resumes it"),
        (130, KeyboardInterrupt, "^$"),
    ],
)
def test_how_a_stage_ended_is_said(code: int, kind: type[BaseException], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        _raise_for("embed", code)
    if code == 2:
        assert "resume" not in str(caught.value)
    _raise_for("embed", 0)


def stubborn(ignored: str) -> "subprocess.Popen[bytes]":
    code = f"import signal, sys, time\n{ignored}\nprint(flush=True)\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


def test_a_stage_is_waited_for_then_asked_then_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aeret.pipeline.execute._PATIENCE", 0.2)
    asked = stubborn("")
    _end(asked, patience=0.0)
    assert asked.returncode == -signal.SIGTERM
    killed = stubborn("signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    _end(killed, patience=0.0)  # and no TimeoutExpired comes out in place of the interrupt
    assert killed.returncode == -signal.SIGKILL
    waited = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    started = time.monotonic()
    _end(waited, patience=30.0)
    assert waited.returncode == 0
    assert time.monotonic() - started < 25


@pytest.mark.parametrize("manifest", ["my #1.yaml", "été \U0001f600.yaml", "a: b", "", 'say "x"\t.yaml'])
def test_settings_reach_the_stages_process_unchanged(tmp_path: Path, manifest: str) -> None:
    given: dict[str, Any] = {"data": {"manifest": manifest}, "cnn": {"training": {"learning_rate": 1e-7}}}
    settings = Settings.model_validate(given)
    path = tmp_path / "k.settings.json"
    path.write_text(_as_yaml(settings.model_dump(mode="json")), encoding="utf-8")
    assert settings_of_file(path) == settings
    assert json.loads(path.read_text(encoding="utf-8"))["data"]["manifest"] == manifest


def test_weights_of_a_run_that_is_yet_to_be_made_are_planned_by_its_key(tmp_path: Path) -> None:
    settings = settings_of_file(None, ["data.manifest=scenes-small"])
    source = plan(settings, ["train-cnn"], tmp_path)[-1]

    def key() -> str:
        cnn = settings.cnn.model_copy(update={"weights": str(source.folder), "transfer": "frozen"})
        return plan(settings.model_copy(update={"cnn": cnn}), ["train-cnn"], tmp_path)[-1].key

    before = key()
    source.folder.mkdir(parents=True)
    (source.folder / "joint.json").write_text("{}")
    assert key() == before != source.key


def test_experiments_go_on_after_a_run_that_failed(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_first(task: Any, settings: Settings, *rest: Any) -> Any:
        if settings.seed == 0 and task.stage == "second":
            raise RunError("it diverged")
        return execute(task, settings, silent)

    monkeypatch.setattr(run_module, "execute_in_process", fails_first)
    whole = Pipeline("whole", (), (), "", "", experiments=(pipeline,))
    lines: list[str] = []
    runs = run_pipeline(whole, tmp_path, lines.append)
    assert [run.status for run in runs] == ["failed", "done"]
    assert "  failed: it diverged" in lines
    with pytest.raises(RunError, match="it diverged"):
        run_pipeline(pipeline, tmp_path / "alone", lines.append)


def test_two_experiments_of_one_name_are_refused(pipeline: Pipeline, tmp_path: Path) -> None:
    whole = Pipeline("whole", (), (), "", "", experiments=(pipeline, pipeline))
    with pytest.raises(RunError, match="two of the pipelines to run are named 'toy'"):
        run_pipeline(whole, tmp_path, print)


def test_experiments_end_where_the_machine_fails(pipeline: Pipeline, toy_stages: Modules, tmp_path: Path) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    toy_stages["second"].run = full  # type: ignore[attr-defined]
    with pytest.raises(ResourceError, match="No space left on device"):
        run_pipeline(Pipeline("whole", (), (), "", "", experiments=(pipeline,)), tmp_path, lambda line: None)
    assert [run.status for run in history.list_runs(tmp_path)] == ["failed"]


def test_a_gallery_that_is_too_small_is_said_as_soon_as_it_is_known(
    pipeline: Pipeline, toy_stages: Modules, tmp_path: Path
) -> None:
    def refuses(settings: Settings, inputs: Mapping[str, Path]) -> None:
        if "first" in inputs:
            raise UsageError("too many clusters")

    toy_stages["second"].demand_fit = refuses  # type: ignore[attr-defined]
    toy_stages["second"].run = None  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="too many clusters"):
        run_pipeline(pipeline, tmp_path, lambda line: None)
    assert [entry["stage"] for entry in history.list_runs(tmp_path)[0].stages] == ["first"]


def test_the_headline_is_that_of_the_stage_that_has_one(
    pipeline: Pipeline, toy_stages: Modules, tmp_path: Path
) -> None:
    toy_stages["second"].HEADLINE = True  # type: ignore[attr-defined]
    assert [run.headline for run in run_pipeline(pipeline, tmp_path, lambda line: None)] == [{"letters": 6}] * 2


def test_a_stage_runs_in_a_fresh_process_and_its_exit_code_is_read(
    toy_stages: Modules, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (task,) = plan(Settings(), ["first"], tmp_path)
    with pytest.raises(UsageError, match="stage first cannot run with this input"):
        execute_in_process(task, Settings(), tmp_path)
    assert "No such command 'first'" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "patience"), [(KeyboardInterrupt(signal.SIGTERM), 0.0), (OSError(errno.EMFILE, "Too many files"), 20.0)]
)
def test_an_interrupted_run_ends_its_stage(
    toy_stages: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, patience: float
) -> None:
    def fails(content: bytes) -> None:
        raise error

    ended: list[tuple[subprocess.Popen[bytes], float]] = []
    (task,) = plan(Settings(), ["first"], tmp_path)
    started = stubborn("")
    monkeypatch.setattr(started, "communicate", fails)
    monkeypatch.setattr("aeret.pipeline.execute.start", lambda arguments: started)
    monkeypatch.setattr("aeret.pipeline.execute._end", lambda process, patience: ended.append((process, patience)))
    with pytest.raises(type(error)):
        execute_in_process(task, Settings(), tmp_path)
    assert ended == [(started, patience)]
    started.kill()
    started.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_stage_dies_with_a_run_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time\n"
        "from aeret.pipeline.stage_process import start\n"
        "process = start(['stage', 'prepare', '--config', '/dev/stdin'])\n"  # waits for its settings
        "pathlib.Path(sys.argv[1]).write_text(str(process.pid))\n"
        "time.sleep(600)\n"
    )
    note = tmp_path / "pid"
    run = subprocess.Popen([sys.executable, "-c", code, str(note)])
    deadline = time.monotonic() + 120
    while not (note.is_file() and note.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    stage = int(note.read_text())
    run.send_signal(signal.SIGKILL)
    run.wait()
    while lives(stage):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
