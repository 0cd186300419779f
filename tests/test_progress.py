import pytest

from aeret import progress
from aeret.progress import terminal


def test_off_a_terminal_progress_is_whole_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 4.0, 10.0, 10.0, 10.0, 12.0, 19.0, 19.5])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))  # type: ignore[attr-defined]
    with terminal("decode", 40, unit="photo") as step:
        for count in (10, 10, 10, 10):
            step(count)
    text = capsys.readouterr().err
    lines = text.splitlines()
    assert text.endswith("\n")
    assert "\r" not in text
    assert len(lines) == 2  # at ten seconds, and at the end
    assert all(line.startswith("decode: ") for line in lines)
    assert " 20/40 " in lines[0]
    assert " 40/40 " in lines[1]


def test_a_resumed_bar_starts_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), terminal("decode", 40, done=30) as step:
        step(5)
        raise KeyError
    assert " 35/40 " in capsys.readouterr().err
