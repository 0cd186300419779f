"""``aeret runs compare``: any two runs, also of other groups and of an older schema."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from aeret.cli.runs import command
from aeret.evaluation.result import FRAMES, Evaluation
from aeret.pipeline.history import RUN, Run
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


def recorded(root: Path, group: str, made: Evaluation | None, settings: dict[str, object]) -> None:
    run = Run(id=group, pipeline="p", group=group, values={}, settings=settings, started=group, status="done")
    if made is not None:
        made.save(root / "artifacts" / "cluster-eval" / group)
        (root / "artifacts" / "cluster-eval" / group / "artifact.json").write_text("{}")
        run.stages.append({"stage": "cluster-eval", "key": group, "how": "made", "seconds": 0.0})
    folder = root / "history" / group
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
    assert "prepared photos of these runs are not at hand" in page
    assert "Settings that differ" in page


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
