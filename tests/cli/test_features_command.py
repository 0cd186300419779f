"""`aeret features select` on a made-up run, and the stage of the same name in a plan."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from aeret.cli import cli
from aeret.errors import SettingsError, UsageError
from aeret.pipeline.graph import plan
from aeret.settings import FeatureSelectionSettings, Settings

SMOKE = (
    "repetitions=3",
    "embedding_repetitions=3",
    "population=4",
    "generations=1",
    "dimensions=[8]",
    "greedy_block=28",
)


def select(root: Path, *arguments: str) -> Result:
    smoke = [part for each in SMOKE for part in ("--set", f"feature_selection.{each}")]
    return CliRunner().invoke(cli, ["features", "select", "--runs", str(root), "--quiet", *smoke, *arguments])


def test_a_small_selection_takes_seconds_and_writes_curves_choices_and_a_report(toy_run: Path) -> None:
    done = select(toy_run)
    assert done.exit_code == 0, done.output
    assert "digits: 0.9" in done.output and "embedding: " in done.output
    folder = next((toy_run / "features").glob("*/*/report.html")).parent
    chosen = json.loads((folder / "chosen.json").read_text())["chosen"]
    assert len(chosen["digits"]["greedy"]["8"]) == 8 and "centre-out" not in chosen["embedding"]
    page = (folder / "report.html").read_text()
    assert "which dimensions carry the retrieval?" in page and "The paper (its pictures are not named" in page
    before = (folder / "curves.csv").read_text()
    clock = time.process_time()
    assert select(toy_run, "--set", "feature_selection.threads=1").exit_code == 0
    assert time.process_time() - clock < 5, "parts are read again"
    assert (folder / "curves.csv").read_text() == before
    assert len(list((toy_run / "features").glob("*/*/report.html"))) == 1


def test_a_wrong_measure_or_method_is_explained(toy_run: Path) -> None:
    only = ("--set", "feature_selection.datasets=embedding")
    done = select(toy_run, *only, "--set", "feature_selection.measure=nDCG(rel=layout)@10")
    assert isinstance(done.exception, UsageError) and "by labels with a cut-off" in str(done.exception)
    done = select(toy_run, "--set", "feature_selection.methods=[ridge]")
    assert isinstance(done.exception, SettingsError) and "lasso" in str(done.exception)


def record(root: Path, **changes: dict[str, Any]) -> None:
    """Change what the run was recorded with."""
    path = next(root.glob("history/*/run.json"))
    run = json.loads(path.read_text())
    for section, values in changes.items():
        run["settings"][section] |= values
    path.write_text(json.dumps(run))


def test_a_run_whose_training_is_refused_today_can_still_be_asked(toy_run: Path) -> None:
    sgd = Settings().model_dump(mode="json")["cnn"]["training"] | {"optimizer": "sgd", "weight_decay": 0.1}
    record(toy_run, cnn={"training": sgd, "gone": 1}, autoencoder={"tied": True}, feature_selection={"l2": 0.01})
    only = ["feature_selection.datasets=digits", "feature_selection.methods=[random]"]
    done = select(toy_run, *(part for each in only for part in ("--set", each)))
    assert done.exit_code == 0, done.output
    chosen = next((toy_run / "features").glob("*/*/chosen.json")).parent
    record(toy_run, cnn={"training": {}}, feature_selection={"l2": 1e-4})
    assert select(toy_run, *(part for each in only for part in ("--set", each))).exit_code == 0
    assert len(list(chosen.parent.iterdir())) > 1, "what was recorded of the sections that count is heeded"


def test_recorded_settings_that_count_and_are_refused_are_explained(toy_run: Path) -> None:
    record(toy_run, evaluation={"cutoffs": [5, 200], "gone": 1})
    done = select(toy_run)
    assert isinstance(done.exception, SettingsError)
    assert str(done.exception).startswith(
        f"run {next((toy_run / 'history').iterdir()).name}: evaluation.gone: there is"
    )
    assert "An older aeret may have recorded this run" in str(done.exception)
    done = select(toy_run, "--set", "evaluation.cutoffs=[0]")
    assert isinstance(done.exception, SettingsError) and "--set 'evaluation.cutoffs=[0]'" in str(done.exception)


def test_the_stage_reads_embeddings_unless_digits_alone_are_asked(tmp_path: Path) -> None:
    both = plan(Settings(), ["feature-selection"], tmp_path)
    assert [task.stage for task in both][-2:] == ["embed", "feature-selection"]
    alone = Settings(feature_selection=FeatureSelectionSettings(datasets="digits"))
    assert [task.stage for task in plan(alone, ["feature-selection"], tmp_path)] == ["feature-selection"]
    paced = Settings(feature_selection=FeatureSelectionSettings(threads=3))
    assert plan(paced, ["feature-selection"], tmp_path)[-1].key == both[-1].key
