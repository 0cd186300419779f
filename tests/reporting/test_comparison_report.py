"""The comparison report: means, differences and verdicts of arms."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic_evaluation as synthetic

from aeret.errors import UsageError
from aeret.evaluation.result import Evaluation
from aeret.reporting import WRITERS
from aeret.reporting.comparison_report import build_comparison_report, compare_and_write
from aeret.reporting.report import Estimate, Figure, Table

LAYOUT, LABELS = "nDCG(rel=layout)@10", "nDCG(rel=jaccard)@10"


def arm(layout: float, seeds: int = 2, latent: bool = True) -> list[Evaluation]:
    gallery = synthetic.split()
    vectors = np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32)
    made = synthetic.evaluation(gallery, vectors, latent=latent)
    found = []
    for seed in range(seeds):
        per_query = made.per_query.fillna(0.5).assign(**{"subset:real": np.arange(30) % 2 == 0})
        # Every query differs by nearly the same, so the difference is beyond doubt.
        per_query[LAYOUT] = layout + 0.001 * np.arange(30) + 0.01 * seed
        if latent:
            per_query["layout R@10"] = (np.arange(30) < 20).astype(float)
        found.append(replace(made, per_query=per_query, facts=made.facts | {"seed": seed}))
    return found


def table(report: object, name: str) -> Table:
    (found,) = (b for s in report.sections for b in s.blocks if isinstance(b, Table) and b.id == name)  # type: ignore[attr-defined]
    return found


def test_means_differences_and_verdict() -> None:
    report = build_comparison_report({"labels-only": arm(0.1, latent=False), "joint": arm(0.3)}, "labels-only")
    means = table(report, "arms-table")
    by_arm = {row[0]: row for row in means.rows}
    # 0.1 + mean of 0..29 thousandths + mean of 0 and 0.01; sd of 0 and 0.01 over seeds.
    assert by_arm["labels-only"][2] == Estimate(pytest.approx(0.1195), None, None, pytest.approx(0.01 / 2**0.5))  # type: ignore[arg-type]
    assert by_arm["joint"][1] == 2
    assert by_arm["labels-only"][3] is None, "an arm without latent head has no layout hits"
    assert by_arm["random floor"][3] == pytest.approx(10 / 30)
    key = table(report, "key-joint")
    rows = {row[0]: row for row in key.rows}
    difference = rows[LAYOUT][4]
    assert isinstance(difference, Estimate)
    assert difference.value == pytest.approx(0.2)
    assert rows[LAYOUT][6] < 0.01  # type: ignore[operator]
    assert rows[LABELS][4].value == 0  # type: ignore[union-attr]
    assert rows[LABELS][6] == 1
    assert "chance" in key.notes[0]
    assert rows["layout R@10"][5:7] == (None, None), "a constant is not tested"
    assert key.row_kinds[list(rows).index("layout R@10")] == ""
    assert f"better in {LAYOUT}" in report.notices[0].text
    assert f"not told apart in {LABELS}" in report.notices[0].text
    assert "beside chance, untested, in layout R@10" in report.notices[0].text


def test_the_terminal_shows_a_dash_where_nothing_was_tested(tmp_path: Path) -> None:
    folders = {}
    for name, each in {"labels-only": arm(0.1, 1, latent=False), "joint": arm(0.3, 1)}.items():
        each[0].save(tmp_path / name)
        folders[name] = [tmp_path / name]
    lines = compare_and_write(folders, "labels-only", tmp_path / "out").splitlines()
    (row,) = (line for line in lines if line.startswith("  layout R@10 "))
    assert row.split()[-2:] == ["-", "-"]
    assert any("layout R@10: the baseline has no latent head: chance" in line for line in lines)


def test_a_lead_without_an_order_of_the_whole_gallery_has_no_average_precision() -> None:
    arms = {}
    for name, layout in (("labels-only", 0.1), ("joint", 0.3)):
        made = arm(layout)
        frame = made[0].measures
        pooled = "cluster-first pooled"
        kept = frame[(frame["method"] != pooled) | (frame["measure"] != "AP(rel=any)")]
        arms[name] = [
            replace(
                each,
                facts=each.facts | {"lead": pooled},
                measures=kept,
                per_query=each.per_query.drop(columns="AP(rel=any)"),
            )
            for each in made
        ]
    titles = [column.title for column in table(build_comparison_report(arms, "labels-only"), "arms-table").columns]
    assert LAYOUT in titles
    assert "AP(rel=any)" not in titles


def test_subsets_are_compared_on_their_own() -> None:
    report = build_comparison_report({"a": arm(0.1), "b": arm(0.3)}, "a")
    rows = table(report, "subset-b-real").rows
    assert [row[0] for row in rows] == [LAYOUT, "layout R@10"]
    assert {row[1] for row in rows} == {15}


def test_the_interval_is_chosen_and_named() -> None:
    arms = {"a": arm(0.1, 1), "b": arm(0.3, 1)}
    for interval, words in (("percentile", "of the mean difference"), ("bca", "Efron 1987")):
        report = build_comparison_report(arms, "a", interval)
        assert words in dict(table(report, "convention-list").rows)["interval"]
        key = table(report, "key-b")
        place = [column.name for column in key.columns].index("p_wilcoxon")
        assert {row[0]: row[place] for row in key.rows}[LAYOUT] < 0.01  # type: ignore[operator]
    with pytest.raises(UsageError, match="no interval 'wald'"):
        build_comparison_report(arms, "a", "wald")


def test_one_point_per_arm_and_seed() -> None:
    report = build_comparison_report({"a": arm(0.1, seeds=3), "b": arm(0.3), "c": arm(0.2)}, "a")
    (figure,) = (b for s in report.sections for b in s.blocks if isinstance(b, Figure))
    assert figure.data is not None
    assert [row[0] for row in figure.data.rows] == ["a"] * 3 + ["b"] * 2 + ["c"] * 2
    assert len(report.notices) == 2


def test_all_formats_are_written_from_folders(tmp_path: Path) -> None:
    folders: dict[str, list[Path]] = {}
    for name, layout in (("base", 0.1), ("new", 0.3)):
        for place, evaluation in enumerate(arm(layout)):
            evaluation.save(tmp_path / f"{name}{place}")
            folders.setdefault(name, []).append(tmp_path / f"{name}{place}")
    text = compare_and_write(folders, "base", tmp_path / "out")
    assert "new against base, 30 queries" in text
    assert "+0.200" in text
    lines = list(csv.DictReader(io.StringIO((tmp_path / "out" / "report.csv").read_text())))
    (value,) = (
        float(line["value"])
        for line in lines
        if (line["table"], line["label"], line["column"], line["part"]) == ("key-new", LAYOUT, "difference", "value")
    )
    assert value == pytest.approx(0.2)
    assert {path.suffix.lstrip(".") for path in (tmp_path / "out").iterdir()} == set(WRITERS)


@pytest.mark.parametrize(
    ("arms", "baseline", "says"),
    [({"a": arm(0.1)}, "a", "two arms or more"), ({"a": arm(0.1), "b": arm(0.2)}, "c", "none of the arms")],
)
def test_what_cannot_be_compared_is_refused(arms: dict[str, list[Evaluation]], baseline: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        build_comparison_report(arms, baseline)


def test_different_queries_are_refused() -> None:
    other = [replace(each, per_query=each.per_query.iloc[:10]) for each in arm(0.2)]
    with pytest.raises(UsageError, match="different queries"):
        build_comparison_report({"a": arm(0.1), "b": other}, "a")
