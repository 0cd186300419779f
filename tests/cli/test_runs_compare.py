"""``aeret runs compare``: any two runs, also of other groups and of an older schema."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from aeret.cli.run import command as run_command
from aeret.cli.runs import command
from aeret.evaluation.result import FRAMES, Evaluation
from aeret.pipeline.history import RUN, Run, find_runs
from aeret.retrieval.ranking import Ranking

LAYOUT, LABELS = "nDCG(rel=layout)@10", "nDCG(rel=jaccard)@10"


def evaluation(gain: float, photos: int = 20) -> Evaluation:
    values = np.linspace(0.2, 0.6, photos)
    ids = np.arange(photos, dtype=np.int64)
    rows = np.stack([np.roll(np.delete(ids, row), -row)[:10] for row in ids])
    ranking = Ranking(rows, np.zeros(rows.shape, np.float32), np.zeros(photos, np.int64), np.zeros(photos, np.int64))
    per_class = pd.DataFrame({"category": ["dog"], "queries": [5], "P@10": [0.5 + gain], "AP": [0.4]})
    frames = {name: pd.DataFrame() for name in FRAMES} | {
        "per_class": per_class,
        "measures": pd.DataFrame({"method": ["exhaustive"], "measure": [LAYOUT], "value": [0.5]})
        .assign(floor_random=0.1, floor_query_free=0.2),
        "pairs": pd.DataFrame({"name": ["this run"], "f": [0.4]}),
    }  # fmt: skip
    return Evaluation(
        facts={"lead": "exhaustive", "n_queries": photos, "n_gallery": photos},
        conventions={},
        clusters={},
        per_query=pd.DataFrame({"photo_id": ids, LAYOUT: values + gain, LABELS: values}),
        rankings={"exhaustive": ranking},
        layout_ranks=np.zeros(0, np.int32),
        assignment=np.zeros(photos, np.int32),
        gallery_ids=ids,
        **frames,
    )


def recorded(
    root: Path,
    name: str,
    made: Evaluation | None,
    settings: dict[str, object],
    values: dict[str, object] | None = None,
) -> None:
    group = name.partition(".")[0]
    run = Run(name, "p", group, values or {}, settings, started=name, status="done")
    if made is not None:
        made.save(root / "artifacts" / "cluster-eval" / name)
        (root / "artifacts" / "cluster-eval" / name / "artifact.json").write_text("{}")
        run.stages.append({"stage": "cluster-eval", "key": name, "how": "made", "seconds": 0.0})
    folder = root / "history" / name
    folder.mkdir(parents=True)
    (folder / RUN).write_text(json.dumps(asdict(run)))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    recorded(tmp_path, "one", evaluation(0.0), {"cnn": {"backbone": "alexnet", "gone": 1}, "seed": 0})
    recorded(tmp_path, "two", evaluation(0.1), {"cnn": {"backbone": "resnet18"}, "seed": 0})
    recorded(tmp_path, "other", evaluation(0.1, photos=15), {"seed": 0})
    recorded(tmp_path, "unfinished", None, {})
    return tmp_path


def compared(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command, ["compare", *arguments])
    return result.exit_code, result.output + str(result.exception or "")


def test_two_runs_of_other_groups_and_an_older_schema(runs: Path) -> None:
    code, text = compared("one", "two", "--runs", str(runs))
    assert code == 0, text
    assert "cnn.backbone: alexnet | resnet18" in text
    assert "cnn.gone: 1 | –" in text
    assert "+0.100" in text
    assert "categories that gained most, P@10 (queries): dog +0.100 (5)" in text
    (report,) = (runs / "comparisons").glob("*/report.html")
    assert report.parent.name == "two-against-one"
    page = report.read_text()
    assert "prepared photos of these runs are not available" in page
    assert "Settings that differ" in page


@pytest.fixture
def group(tmp_path: Path) -> Path:
    for gain, variant in enumerate(("plain", "strong")):
        for seed in (0, 1):
            values: dict[str, object] = {"seed": seed, "variant": variant}
            recorded(tmp_path, f"g.{seed}.{variant}", evaluation(gain / 10 + seed / 100), {"seed": seed}, values)
    kept = tmp_path / "comparisons" / "g" / "report.html"
    kept.parent.mkdir(parents=True)
    kept.write_text("of aeret run")
    return tmp_path


def test_variants_are_compared_by_their_names(group: Path) -> None:
    code, text = compared("g", "--by", "variant", "--baseline", "strong", "--runs", str(group))
    assert code == 0, text
    assert "-0.100" in text
    code, text = compared("g", "--by", "cnn.gone", "--runs", str(group))
    assert code != 0
    assert "there is no such setting" in text


def test_no_two_comparisons_share_a_folder_and_none_has_that_of_the_group(group: Path) -> None:
    each = [f"g.{seed}.{variant}" for seed in (0, 1) for variant in ("plain", "strong")]
    asked = [
        ["g", "--by", "variant"],
        ["g", "--by", "variant", "--baseline", "strong"],
        ["g", "--by", "seed"],
        [*each[:2], "--by", "variant"],
        each[:2],
        each[:3],
        each,
        [*each, "--interval", "bca"],
        ["g", "--by", "variant", "--interval", "bca"],
    ]
    for number, arguments in enumerate(asked, 2):
        code, text = compared(*arguments, "--runs", str(group))
        assert code == 0, text
        names = {path.parent.name for path in (group / "comparisons").glob("*/report.html")}
        assert len(names) == number, (arguments, names)
    assert (group / "comparisons" / "g" / "report.html").read_text() == "of aeret run"
    assert {"g.0.strong-against-0.plain", "g.0.strong-and-1.plain-against-0.plain"} < names
    assert "g.0.strong-and-1.plain-and-1.strong-against-0.plain-bca" in names
    assert sum(name.startswith("g.seed.1-against-0-") for name in names) == 1


def test_a_run_writes_the_comparison_of_its_own_where_it_always_was(
    group: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("pipeline: {matrix: {seed: [0, 1]}, compare: seed}\n")
    runs = find_runs(group, "g")
    recorded(tmp_path, "g.source", None, {})
    runs = [replace(find_runs(group, "g.source")[0], pipeline="source"), *runs]
    monkeypatch.setattr("aeret.pipeline.run.run_pipeline", lambda pipeline, root, log: runs)
    result = CliRunner().invoke(run_command, [str(path), "--runs", str(group)])
    assert result.exit_code == 0, result.output + str(result.exception)
    assert [each.name for each in (group / "comparisons").iterdir()] == ["g"]
    assert "1 against 0" in (group / "comparisons" / "g" / "report.html").read_text()


def test_a_folder_of_many_runs_has_a_name_that_a_file_system_takes(tmp_path: Path) -> None:
    for number in range(9):
        recorded(tmp_path, f"g.{number}-{'x' * 40}", evaluation(number / 100), {})
    code, text = compared("g", "--runs", str(tmp_path))
    assert code == 0, text
    code, text = compared("g", "--baseline", f"g.1-{'x' * 40}", "--runs", str(tmp_path))
    assert code == 0, text
    assert len([*(tmp_path / "comparisons").glob("*/report.html")]) == 2


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("one", "other"), "different queries"),
        (("one", "unfinished"), "has no evaluation yet"),
        (("one", "one"), "nothing to compare"),
        (("one", "nothing"), "matches no run"),
    ],
)
def test_what_cannot_be_compared_is_said(runs: Path, names: tuple[str, ...], says: str) -> None:
    code, text = compared(*names, "--runs", str(runs))
    assert code != 0
    assert says in text


def test_an_evaluation_that_is_gone_is_said(runs: Path) -> None:
    (runs / "artifacts" / "cluster-eval" / "two" / "artifact.json").unlink()
    code, text = compared("one", "two", "--runs", str(runs))
    assert code != 0
    assert "is gone" in text
