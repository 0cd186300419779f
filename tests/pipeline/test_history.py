from pathlib import Path

import pytest

from aeret.errors import UsageError
from aeret.pipeline import history
from aeret.settings import Settings


def test_a_run_is_recorded_and_found_again(tmp_path: Path) -> None:
    group = history.new_group(tmp_path, "demo")
    run = history.start(tmp_path, group, "joint.0", "demo", {"cnn.arm": "joint"}, Settings())
    history.finish(tmp_path, run, "done")
    (found,) = history.find_runs(tmp_path, "latest")
    assert (found.id, found.status, found.values) == (f"{group}.joint.0", "done", {"cnn.arm": "joint"})
    assert history.find_runs(tmp_path, group) == [found]
    assert history.find_runs(tmp_path, found.id[:-3]) == [found]


def test_two_runs_in_one_second_have_two_names(tmp_path: Path) -> None:
    first = history.new_group(tmp_path, "demo")
    # Claimed at once: the first has not even begun to record itself.
    assert history.new_group(tmp_path, "demo") != first
    assert not history.list_runs(tmp_path)


def test_a_folder_that_cannot_hold_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"no run can be recorded in .*file: .*Not a directory"):
        history.new_group(tmp_path / "file", "demo")


@pytest.mark.parametrize("content", [b'{"id": ', b'{"id": "\xff"}', b"[]", None])
def test_a_damaged_record_does_not_hide_the_others(tmp_path: Path, content: bytes | None) -> None:
    run = history.start(tmp_path, "20260101-000000-a", "", "a", {}, Settings())
    broken = tmp_path / "history" / "20260101-000001-b"
    broken.mkdir()
    if content is None:
        (broken / "run.json").mkdir()  # as unreadable as a file can be made for root too
    else:
        (broken / "run.json").write_bytes(content)
    assert [each.id for each in history.list_runs(tmp_path)] == [run.id]


def test_unknown_and_ambiguous_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no runs yet"):
        history.find_runs(tmp_path, "latest")
    for name in ("20260101-000000-a", "20260101-000001-b"):
        history.start(tmp_path, name, "", "x", {}, Settings())
    with pytest.raises(UsageError, match="matches 2 runs"):
        history.find_runs(tmp_path, "20260101")
    with pytest.raises(UsageError, match="matches no run"):
        history.find_runs(tmp_path, "2027")


def test_settings_of_another_version_are_a_message(tmp_path: Path) -> None:
    group = history.new_group(tmp_path, "demo")
    run = history.start(tmp_path, group, "", "demo", {}, Settings(seed=3))
    assert history.settings_of(run).seed == 3
    run.settings = {**run.settings, "colour": "blue"}
    with pytest.raises(UsageError, match=r"settings that this version of aeret does not have \(colour\)"):
        history.settings_of(run)
