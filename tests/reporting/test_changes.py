"""What changed between two runs: settings, categories, and queries with the results of both."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import synthetic_evaluation as synthetic

from aeret.errors import UsageError
from aeret.evaluation.compare import class_changes, query_changes
from aeret.evaluation.result import Evaluation
from aeret.reporting.comparison_report import build_comparison_report
from aeret.reporting.html import render_html
from aeret.reporting.json import render_json
from aeret.reporting.report import Gallery, Notice, Table
from aeret.reporting.sections.changes import RESULTS, ComparedRuns, setting_differences

LAYOUT, LABELS = "nDCG(rel=layout)@10", "nDCG(rel=jaccard)@10"
PHOTOS = synthetic.split()


def run(seed: int, changed: dict[int, float] | None = None) -> Evaluation:
    """An evaluation whose layout nDCG is 0.5 everywhere but in the queries named."""
    vectors = np.random.default_rng(seed).normal(size=(30, 8)).astype(np.float32)
    made = synthetic.evaluation(PHOTOS, vectors)
    per_query = made.per_query.assign(**{LAYOUT: 0.5, LABELS: 0.25})
    for row, value in (changed or {}).items():
        per_query.loc[row, LAYOUT] = value
    return replace(made, per_query=per_query)


def blocks(report: object, section: str) -> list[object]:
    (found,) = (part for part in report.sections if part.id == section)  # type: ignore[attr-defined]
    return list(found.blocks)


def test_queries_are_ordered_by_how_much_they_changed() -> None:
    seeds = [run(1, {3: 0.9, 7: 0.1, 5: 0.6}), run(1, {3: 0.7, 7: 0.3, 5: 0.6})]
    frame = query_changes(run(0), seeds, LAYOUT)
    assert frame["photo_id"].tolist()[:2] == [103, 105]
    assert frame["photo_id"].iloc[-1] == 107
    assert frame["difference"].iloc[[0, 1, -1]].tolist() == pytest.approx([0.3, 0.1, -0.3])
    assert len(frame) == 30
    skipped = run(1)
    skipped.per_query.loc[4, LAYOUT] = np.nan
    assert 104 not in set(query_changes(run(0), skipped, LAYOUT)["photo_id"])
    shuffled = replace(seeds[0], per_query=seeds[0].per_query.iloc[::-1].reset_index(drop=True))
    assert query_changes(run(0), shuffled, LAYOUT)["photo_id"].iloc[0] == 103
    with pytest.raises(UsageError, match="different queries"):
        query_changes(run(0), replace(run(1), per_query=run(1).per_query.iloc[:9]), LAYOUT)


def test_categories_are_compared_over_seeds() -> None:
    base, made = run(0), run(1)
    better = replace(
        made, per_class=made.per_class.assign(**{"P@10": made.per_class["P@10"] + [0, 0.2, -0.1, 0, 0, 0]})
    )
    lost_one = replace(better, per_class=better.per_class.iloc[:-1])
    frame = class_changes(base, [better, lost_one])
    assert frame["category"].tolist()[0] == "dog"
    assert frame["category"].tolist()[-1] == "bicycle"
    assert len(frame) == 5, "a category that one evaluation lacks is not compared"
    assert frame["P@10 difference"].iloc[[0, -1]].tolist() == pytest.approx([0.2, -0.1])
    assert frame["queries"].iloc[0] == base.per_class.set_index("category")["queries"]["dog"]


def test_settings_that_differ_even_where_one_run_knew_no_such_setting() -> None:
    old = {"seed": 0, "cnn": {"arm": "joint", "width": 3}, "list": [1, 2]}
    new = {"seed": 1, "cnn": {"arm": "joint", "head": "new"}, "list": [1, 2]}
    rows = setting_differences({"a": [old], "b": [new, new | {"seed": 2}]})
    assert rows == [("seed", "0", "1, 2"), ("cnn.width", "3", "–"), ("cnn.head", "–", "new")]
    same = build_comparison_report({"a": [run(0)], "b": [run(1)]}, "a", runs=ComparedRuns({"a": [old], "b": [old]}))
    assert any(isinstance(block, Notice) and "same settings" in block.text for block in blocks(same, "arms"))


def test_flipped_queries_stand_side_by_side_with_the_results_of_both() -> None:
    first, second = run(0), run(1, {3: 0.9, 7: 0.1})
    # The other run has its gallery in another order: rows must be found again by photo id.
    turned = np.arange(30)[::-1]
    rankings = {name: replace(each, rows=turned[each.rows]) for name, each in second.rankings.items()}
    second = replace(second, gallery_ids=second.gallery_ids[::-1].copy(), rankings=rankings)
    compared = ComparedRuns({"old": [{"seed": 0}], "new": [{"seed": 1}]}, synthetic.material(PHOTOS))
    report = build_comparison_report({"old": [first], "new": [second]}, "old", runs=compared)
    found = {block.id: block for block in blocks(report, "flips-new") if isinstance(block, Gallery)}
    assert set(found) == {"gains-layout-new", "losses-layout-new"}
    before, after = found["gains-layout-new"].strips
    assert before.title.startswith("old · photo 103")
    assert after.title.startswith("new · photo 103")
    assert [fact.value for fact in after.facts] == pytest.approx([0.9, 0.4])
    assert found["losses-layout-new"].strips[0].title.startswith("old · photo 107")
    for strip, made in ((before, first), (after, second)):
        assert len(strip.tiles) == 1 + RESULTS
        assert [tile.mark == "query" for tile in strip.tiles] == [True] + [False] * RESULTS
        assert all(tile.layout is not None for tile in strip.tiles)
        results = made.gallery_ids[made.rankings[made.lead].rows[3, :RESULTS]] - 100
        union = (PHOTOS.labels[3] | PHOTOS.labels[results]).sum(axis=1)
        overlap = (PHOTOS.labels[3] & PHOTOS.labels[results]).sum(axis=1) / union
        assert [tile.caption for tile in strip.tiles[1:]] == [f"{value:.2f}" for value in overlap]
    (listed,) = (block for block in blocks(report, "flips-new") if isinstance(block, Table))
    assert [(row[0], row[3]) for row in listed.rows] == [("103", pytest.approx(0.4)), ("107", pytest.approx(-0.4))]
    assert any(isinstance(block, Notice) and "no query changed" in block.text for block in blocks(report, "flips-new"))
    page = render_html(report)
    assert "Queries that flipped: new" in page
    assert "<script>alert" not in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert json.loads(render_json(report))


def test_without_photos_the_queries_are_still_listed() -> None:
    report = build_comparison_report({"a": [run(0)], "b": [run(1, {3: 0.9})]}, "a")
    found = blocks(report, "flips-b")
    assert any(isinstance(block, Table) for block in found)
    assert any(isinstance(block, Notice) and "not available" in block.text for block in found)
