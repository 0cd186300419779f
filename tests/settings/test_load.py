from pathlib import Path

import pytest

from aeret.errors import SettingsError, UsageError
from aeret.pipeline.pipelines import settings_of_file


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def test_values_are_yaml_1_2(tmp_path: Path) -> None:
    settings = settings_of_file(write(tmp_path, "cnn:\n  training: {learning_rate: 1e-4}\n"))
    assert settings.cnn.training.learning_rate == 1e-4


def test_override_wins_over_file(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 3\ncnn: {latent_weight: 2}\n")
    settings = settings_of_file(path, ["seed=5", "cnn.training.epochs=2", "evaluation.cutoffs=[1, 10]"])
    assert (settings.seed, settings.cnn.latent_weight, settings.cnn.training.epochs) == (5, 2, 2)
    assert settings.evaluation.cutoffs == (1, 10)


def test_every_problem_at_once_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, "seed: 0\ncnn:\n  poolling: gap\n  training:\n    epochs: three\n")
    with pytest.raises(SettingsError) as caught:
        settings_of_file(path)
    lines = str(caught.value).splitlines()
    assert f"{path}:3:3: cnn.poolling: there is no such setting, did you mean 'pooling'?." in lines
    assert any(line.startswith(f"{path}:5:5: cnn.training.epochs: ") and "'three'" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nseed: 2\n", r"run.yaml:2:1: .*duplicate key"),
        ("- a\n", "expected a mapping of settings, got CommentedSeq"),
        ("seed: [1\n", r"run.yaml:2:1: "),
        ("cnn: 3\n", r"run.yaml:1:1: cnn: Input should be"),
        ("cnn: {arm: joint, latent_weight: 0}\n", "arm 'joint' needs latent_weight > 0"),
        ("data: {photo_size: 64}\ncnn: {input_size: 96}\n", "larger than data.photo_size=64"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings_of_file(write(tmp_path, text))


def test_bad_override_is_quoted() -> None:
    with pytest.raises(SettingsError, match=r"^--set 'cnn.arm=jiont': cnn.arm: Input should be .*jiont"):
        settings_of_file(None, ["cnn.arm=jiont"])
    with pytest.raises(UsageError, match="expected key=value"):
        settings_of_file(None, ["cnn.arm"])
    with pytest.raises(SettingsError, match="seed"):
        settings_of_file(None, ["seed.x=1"])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        settings_of_file(tmp_path / "absent.yaml")


@pytest.mark.parametrize("text", ["my #1.yaml", "a: b", "007", "null", "[x", "{AERET}", "été \U0001f600.yaml", "it's"])
def test_an_override_of_a_text_setting_is_taken_as_it_is(text: str) -> None:
    assert settings_of_file(None, [f"data.manifest={text}"]).data.manifest == text


def test_a_quoted_override_of_a_text_setting_is_unquoted() -> None:
    assert settings_of_file(None, ["data.manifest='my.yaml'", 'embed.photos=""']).data.manifest == "my.yaml"
