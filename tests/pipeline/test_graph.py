import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

import aeret.pipeline.execute as execute_module
from aeret.errors import RunError, UsageError
from aeret.pipeline.execute import execute
from aeret.pipeline.graph import Sources, Task, plan
from aeret.progress import silent
from aeret.settings import Settings
from aeret.stages import DEFAULT_STAGES, STAGES, load_stage

Modules = dict[str, ModuleType]


def keys(settings: Settings, root: Path) -> dict[str, str]:
    return {task.stage: task.key for task in plan(settings, ["second"], root)}


def test_inputs_come_first(toy_stages: Modules, tmp_path: Path) -> None:
    assert [task.stage for task in plan(Settings(), ["second"], tmp_path)] == ["first", "second"]


def test_only_the_sections_a_stage_reads_change_its_key(toy_stages: Modules, tmp_path: Path) -> None:
    before = keys(Settings(), tmp_path)
    assert keys(Settings(seed=1), tmp_path)["first"] == before["first"]
    assert keys(Settings(seed=1), tmp_path)["second"] != before["second"]


def test_settings_of_pace_change_no_key(toy_stages: Modules, tmp_path: Path) -> None:
    assert keys(Settings.model_validate({"data": {"workers": 7}}), tmp_path) == keys(Settings(), tmp_path)


def test_an_inputs_key_changes_what_reads_it(toy_stages: Modules, tmp_path: Path) -> None:
    before = keys(Settings(), tmp_path)
    after = keys(Settings.model_validate({"data": {"mask_size": 16}}), tmp_path)
    assert after["first"] != before["first"]
    assert after["second"] != before["second"]


def test_outside_files_and_code_change_the_key(
    toy_stages: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(Settings(), tmp_path)
    toy_stages["first"].sources = lambda settings: {"instances.json": "abc"}  # type: ignore[attr-defined]
    changed = keys(Settings(), tmp_path)
    assert changed["first"] != before["first"]
    monkeypatch.setattr("aeret.pipeline.graph.code_digest", lambda module: "other code")
    assert keys(Settings(), tmp_path)["first"] != changed["first"]


def test_plans_of_one_command_read_the_files_once(toy_stages: Modules, tmp_path: Path) -> None:
    read: list[str] = []

    def sources(settings: Settings) -> dict[str, str]:
        read.append(settings.data.manifest)
        return {"instances.json": f"{settings.data.manifest} {len(read)}"}

    toy_stages["first"].FILE_SETTINGS = ("data.manifest",)  # type: ignore[attr-defined]
    toy_stages["first"].sources = sources  # type: ignore[attr-defined]
    known: Sources = {}
    for seed in range(3):
        for manifest in ("a", "b"):
            settings = Settings.model_validate(
                {"seed": seed, "data": {"manifest": manifest, "mask_size": 8 + 8 * seed}}
            )
            first, _ = plan(settings, ["second"], tmp_path, known)
            assert first.sources == {"instances.json": f"{manifest} {'ab'.index(manifest) + 1}"}
    assert read == ["a", "b"]
    plan(settings, ["second"], tmp_path)
    assert read == ["a", "b", "b"], "a plan by itself looks again"


def test_a_stage_names_the_settings_that_its_sources_read() -> None:
    for module in map(load_stage, STAGES):
        read = set(_SETTING.findall(inspect.getsource(module.sources))) if hasattr(module, "sources") else set()
        assert read == set(getattr(module, "FILE_SETTINGS", ())), f"{module.NAME}: two runs would share its digests"


_SETTING = re.compile(r"settings\.(\w+\.\w+)")


def test_up_to_date_is_not_run_again(toy_stages: Modules, tmp_path: Path) -> None:
    first, second = plan(Settings(seed=4), ["second"], tmp_path)
    assert not first.done
    execute(first, Settings(seed=4), silent)
    record = execute(second, Settings(seed=4), silent)
    assert second.done
    assert (second.folder / "value").read_text() == "second(first(;4);4)"
    assert execute(second, Settings(seed=4), silent) == record.__class__(**vars(record) | {"sections": ["seed", "cnn"]})
    assert (record.metrics, record.inputs, record.seed) == ({"letters": 6}, {"first": first.key}, 4)


def test_a_broken_stage_leaves_no_artifact_and_counts_its_attempts(toy_stages: Modules, tmp_path: Path) -> None:
    (task,) = plan(Settings(), ["first"], tmp_path)
    good = toy_stages["first"].run

    def bad(*args: object) -> None:
        raise OSError("disk gone")

    toy_stages["first"].run = bad  # type: ignore[attr-defined]
    with pytest.raises(RunError, match="stage first could not finish: disk gone"):
        execute(task, Settings(), silent)
    assert not task.done
    toy_stages["first"].run = good  # type: ignore[attr-defined]
    assert execute(task, Settings(), silent).attempts == 2


@pytest.mark.parametrize("content", ["", "two", "1\x00"])
def test_a_damaged_count_of_attempts_does_not_stop_the_next(toy_stages: Modules, tmp_path: Path, content: str) -> None:
    (task,) = plan(Settings(), ["first"], tmp_path)
    partial = task.folder.with_name(task.key + ".partial")
    partial.mkdir(parents=True)
    (partial / "attempts").write_text(content)
    assert execute(task, Settings(), silent).attempts == 1


def test_what_another_process_finished_meanwhile_is_not_made_again(
    toy_stages: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (task,) = plan(Settings(), ["first"], tmp_path)
    real = execute_module.locked

    @contextlib.contextmanager
    def after_the_other(folder: Path) -> Iterator[None]:
        monkeypatch.setattr(execute_module, "locked", real)
        made = execute(task, Settings(), silent)  # the other process
        assert made.stage == "first"
        toy_stages["first"].run = None  # type: ignore[attr-defined]
        with real(folder):
            yield

    monkeypatch.setattr(execute_module, "locked", after_the_other)
    assert execute(task, Settings(), silent).key == task.key
    assert [path.name for path in task.folder.parent.iterdir()] == [task.key]


def test_a_folder_that_cannot_be_written_names_the_mend(toy_stages: Modules, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (task,) = plan(Settings(), ["first"], tmp_path / "file")
    with pytest.raises(UsageError, match=r"stage first could not finish: .*file.* Not a directory"):
        execute(task, Settings(), silent)


def test_missing_input_says_what_to_run(toy_stages: Modules, tmp_path: Path) -> None:
    task = plan(Settings(), ["second"], tmp_path)[-1]
    with pytest.raises(RunError, match="Run `aeret stage first` with the same --config"):
        execute(task, Settings(), silent)


def test_a_stage_may_choose_what_it_reads_by_the_settings(toy_stages: Modules, tmp_path: Path) -> None:
    before = keys(Settings(), tmp_path)
    toy_stages["second"].inputs = lambda settings: ("first",) if settings.seed == 0 else ()  # type: ignore[attr-defined]
    assert keys(Settings(), tmp_path) == before
    assert set(keys(Settings(seed=1), tmp_path)) == {"second"}


def test_settings_that_decide_nothing_change_no_key(toy_stages: Modules, tmp_path: Path) -> None:
    before = keys(Settings(), tmp_path)
    idle = Settings.model_validate({"data": {"background_fill": "black", "background_splits": "query"}})
    assert keys(idle, tmp_path) == before
    masked = [{"background": "mask"}, {"background": "mask", "background_fill": "black"}, {"background": "grabcut"}]
    found = [keys(Settings.model_validate({"data": data}), tmp_path)["first"] for data in masked]
    assert len({before["first"], *found}) == 4


@pytest.mark.parametrize("features", ["hog", "thumbnail-pca"])
def test_a_classic_feature_needs_no_network(tmp_path: Path, features: str) -> None:
    def planned(**changes: dict[str, object]) -> dict[str, str]:
        settings = Settings.model_validate({"embed": {"features": features}, **changes})
        return {task.stage: task.key for task in plan(settings, DEFAULT_STAGES, tmp_path)}

    found = planned()
    assert list(found) == ["prepare", "audit", "train-ae", "encode-masks", "embed", "cluster-eval"]
    assert planned(cnn={"arm": "labels-only", "embedding_size": 7}) == found
    assert planned(embed={"features": "cnn"})["embed"] != found["embed"]


def test_inputs_must_fit_a_stage_that_is_still_to_be_made(toy_stages: Modules, tmp_path: Path) -> None:
    def refuses(settings: Settings, inputs: Mapping[str, Path]) -> None:
        if "first" in inputs:
            raise UsageError("too many clusters")

    def planned(target: str) -> Task:
        return plan(Settings(), [target], tmp_path)[-1]

    toy_stages["second"].demand_fit = refuses  # type: ignore[attr-defined]
    planned("second")  # nothing is made yet
    execute(planned("first"), Settings(), silent)
    planned("first")
    with pytest.raises(UsageError, match="too many clusters"):
        planned("second")
    toy_stages["second"].demand_fit = lambda settings, inputs: None  # type: ignore[attr-defined]
    execute(planned("second"), Settings(), silent)
    toy_stages["second"].demand_fit = refuses  # type: ignore[attr-defined]
    planned("second")
