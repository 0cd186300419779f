"""The report of experiments: its tables hold what the evaluations hold, and say what stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import synthetic_evaluation as synthetic

from aeret.errors import UsageError
from aeret.evaluation.evaluate import PhotoSet
from aeret.evaluation.experiment import Experiment, Trial
from aeret.pipeline.pipelines import Shown
from aeret.reporting import WRITERS
from aeret.reporting.experiments import SHOWS
from aeret.reporting.experiments.report import Background, build_experiments_report
from aeret.reporting.report import Estimate, Figure, Report, Table
from aeret.reporting.write import write

LAYOUT, LABELS = "nDCG(rel=layout)@10", "nDCG(rel=jaccard)@10"
SHOWN = ("effects", "pairs", "cutoffs", "growth", "clusters", "trade-off", "time")


@dataclass
class Opened:
    gallery: Any
    photos: PhotoSet
    categories: tuple[str, ...] = synthetic.CATEGORIES

    def photo_sets(self) -> tuple[PhotoSet, PhotoSet]:
        return self.photos, self.photos


def trial(values: dict[str, Any], gain: float) -> Trial:
    gallery = synthetic.split()
    vectors = np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32)
    made = synthetic.evaluation(gallery, vectors)
    seed = int(values["seed"])
    per_query = made.per_query.fillna(0.5).assign(
        **{
            LAYOUT: 0.3 + gain + 0.001 * np.arange(30) + 0.01 * seed,
            "P(rel=any)@1": np.arange(30) % 3 / 2,
            "R(rel=any)@10": np.linspace(0, 0.3, 30),
        }
    )
    facts = {"clusters": 6, "cutoffs": [2, 5, 8, 10], "resamples": 30, "resample_fraction": 0.5, "seed": seed}
    pairs = made.pairs.assign(name=["clusters", *made.pairs["name"][1:]])
    evaluation = replace(made, per_query=per_query, facts=made.facts | facts, pairs=pairs)
    opened = Opened(gallery, PhotoSet(gallery.photo_ids, vectors, gallery.labels))
    return Trial(f"run-{'-'.join(map(str, values.values()))}", values, evaluation, lambda: opened)


def networks(name: str = "networks", **changes: Any) -> Experiment:
    trials = tuple(
        trial({"cnn.backbone": net, "cnn.arm": arm, "seed": seed}, gain if arm == "joint" else 0.0)
        for net, gain in (("vgg", 0.1), ("nin", 0.0))
        for arm in ("labels-only", "joint")
        for seed in (0, 1)
    )
    made = Experiment(name, "Networks", "What is asked.", SHOWN, "cnn.arm", "labels-only", trials)
    return replace(made, **changes)


@pytest.fixture(scope="module")
def report() -> Report:
    ablation = networks("ablation", title="Ablation", shows=("effects", "trade-off"))
    facts = {"collection": "made up"}
    return build_experiments_report(
        [networks(), ablation], Background("Paper", "Why.", facts, 61.0, (), {"numpy": "2"})
    )


def table(report: Report, name: str) -> Table:
    (found,) = (b for s in report.sections for b in s.blocks if isinstance(b, Table) and b.id == name)
    return found


def test_everything_a_pipeline_may_show_is_there() -> None:
    assert set(SHOWS) == set(get_args(Shown))


def test_effects_name_group_and_arm_and_mark_what_stands(report: Report) -> None:
    effects = table(report, "networks-effects")
    layout = [row for row in effects.rows if row[0] == LAYOUT]
    assert [row[1] for row in layout] == ["vgg · joint", "nin · joint"]
    assert isinstance(layout[0][5], Estimate)
    assert layout[0][5].value == pytest.approx(0.1)
    assert layout[1][5] == Estimate(0.0, 0.0, 0.0)
    assert layout[0][-1] < 0.05 < layout[1][-1]  # type: ignore[operator]
    assert effects.row_kinds[0] == "lead"


def test_pairs_stand_beside_floors_and_ceiling(report: Report) -> None:
    pairs = table(report, "networks-pairs")
    assert [row[0] for row in pairs.rows] == [
        "vgg · labels-only", "vgg · joint", "nin · labels-only", "nin · joint",
        "single cluster", "random partition", "label oracle",
    ]  # fmt: skip
    assert "k = 6" in pairs.caption
    # The same clusters in both arms: no difference, and no doubt about it.
    assert pairs.rows[1][-2:] == (Estimate(0.0, 0.0, 0.0), 1.0)


def test_the_best_recipes_are_in_order_and_each_run_is_shown(report: Report) -> None:
    best = table(report, "best")
    values = [row[2].value for row in best.rows]  # type: ignore[union-attr]
    assert values == sorted(values, reverse=True)
    assert best.rows[0][0] == "Networks: vgg · joint"
    assert len(table(report, "runs").rows) == 16


def test_figures_have_captions_and_ids_of_their_own(report: Report) -> None:
    figures = [block for section in report.sections for block in section.blocks if isinstance(block, Figure)]
    assert len(figures) >= 9
    assert all("<svg" in figure.svg for figure in figures)


def test_all_writers_write_it(report: Report, tmp_path: Path) -> None:
    write(report, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"report.{name}" for name in WRITERS}
    assert "vgg · joint" in (tmp_path / "report.html").read_text()


def _other_k(experiment: Experiment) -> Experiment:
    first = experiment.trials[0]
    changed = replace(first.evaluation, facts=first.evaluation.facts | {"clusters": 7})
    return replace(experiment, trials=(replace(first, evaluation=changed), *experiment.trials[1:]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda made: replace(made, trials=()), "no finished run to report on"),
        (_other_k, r"pairwise F of runs with k = \[6, 7\] cannot be compared"),
    ],
)
def test_what_cannot_be_reported_is_said(change: Callable[[Experiment], Experiment], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_experiments_report([change(networks())], Background("Paper"))
