"""What the evaluation report says, and what it says when parts of a run are not there."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import synthetic_evaluation as synthetic

from aeret.cli.report_lines import headline_lines
from aeret.evaluation.result import Evaluation
from aeret.pipeline.history import Run
from aeret.reporting import WRITERS
from aeret.reporting.evaluation_report import build_report, thumbnail_side
from aeret.reporting.inputs import ReportInputs
from aeret.reporting.report import Estimate, Facts, Figure, Gallery, Notice, Report, Table
from aeret.reporting.sections.clusters import purity
from aeret.reporting.sections.headlines import headline_metrics, subset_of_real_masks
from aeret.reporting.sections.layout import principal_axes
from aeret.reporting.sections.queries import best_and_worst


@lru_cache
def made(latent: bool = True) -> tuple[Evaluation, ReportInputs]:
    gallery = synthetic.split()
    vectors = np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32)
    return synthetic.evaluation(gallery, vectors, latent=latent), synthetic.material(gallery, latent=latent)


@lru_cache
def complete() -> Report:
    return build_report(*made())


def blocks(report: Report, section: str) -> tuple[object, ...]:
    (found,) = (one for one in report.sections if one.id == section)
    return found.blocks


def test_five_headlines_each_beside_a_floor() -> None:
    report = complete()
    assert [headline.measure for headline in report.headlines] == [
        "nDCG(rel=layout)@10",
        "query by layout R@10",
        "nDCG(rel=jaccard)@10",
        "P(rel=any)@10",
        "pairwise F(rel=any)",
    ]
    assert report.headlines[0].value == 0.1943
    assert (report.headlines[0].low, report.headlines[0].high) == pytest.approx((0.1743, 0.2143))
    assert all(headline.floors for headline in report.headlines)
    rows = headline_metrics(report)
    assert rows[4]["floor_name"] == "single cluster"
    assert rows[4]["floor"] == 0.63
    assert rows[1]["floor"] == pytest.approx(10 / 30)
    assert rows[1]["value"] == 0.274, "of all queries in all photos, wherever that row stands"
    assert (report.headlines[1].low, report.headlines[1].high) == pytest.approx((0.244, 0.304))


def test_layout_headlines_show_what_holds_of_real_masks() -> None:
    report = complete()
    layout, by_layout, *others = report.headlines
    assert layout.part is not None
    # Inside the subset no pseudo-mask is compared; the lead method's row, not the exhaustive one before it.
    assert (layout.part.name, layout.part.value) == ("on true_masks alone", 0.177)
    assert (layout.part.low, layout.part.high) == pytest.approx((0.147, 0.207))
    assert [floor.value for floor in layout.part.floors] == [0.05, 0.192]
    assert by_layout.part is not None
    assert (by_layout.part.name, by_layout.part.value) == ("on true_masks", 0.25)
    assert [floor.value for floor in by_layout.part.floors] == [pytest.approx(10 / 30)]
    assert all(headline.part is None for headline in others)
    rows = headline_metrics(report)
    beside = {"name": "on true_masks alone", "value": 0.177, "floor": 0.192, "floor_name": "query-free"}
    assert rows[0]["part"] == beside
    assert "part" not in rows[2]
    run = Run("r", "demo", "r", {}, {}, "", headline={"headline": rows})
    lines = list(headline_lines(run, Path("nowhere")))
    place = next(i for i, line in enumerate(lines) if "query by layout R@10" in line)
    assert "0.274" in lines[place]
    assert lines[place + 1].split() == ["on", "true_masks", "0.250", "(floor", "0.333:", "random)"]


def test_the_subset_is_the_largest_whose_masks_are_all_real() -> None:
    evaluation, material = made()
    assert subset_of_real_masks(evaluation, material) == "true_masks"
    columns = evaluation.per_query.assign(**{"subset:true_masks": False})
    assert subset_of_real_masks(replace(evaluation, per_query=columns), material) == "few"
    split = synthetic.split()
    for flags in ({}, {"true_masks": np.ones(30, bool)}, {"true_masks": np.zeros(30, bool)}):
        assert subset_of_real_masks(evaluation, replace(material, queries=replace(split, flags=flags))) == ""
    assert subset_of_real_masks(evaluation, ReportInputs()) == ""
    # A subset too small to be searched alone is still shown, in the whole gallery.
    frame = evaluation.layout_subsets
    whole = replace(evaluation, layout_subsets=frame[frame["gallery"] == "all"])
    part = build_report(whole, material).headlines[0].part
    assert part is not None
    assert (part.name, part.value) == ("on true_masks", 0.21)


def test_chance_stands_under_every_row_of_query_by_layout() -> None:
    (table,) = (b for b in blocks(complete(), "layout") if isinstance(b, Table) and b.id == "by-layout")
    assert table.row_kinds == ("", "floor") * 3
    assert [row[5] for row in table.rows[:2]] == [Estimate(0.15, 0.12, 0.18), 0.1]
    assert [row[8] for row in table.rows] == [12, 5.5, 44.5, 15.5, 41, 15.5]


def test_code_r2_stands_beside_reconstruction() -> None:
    table, facts = (b for b in blocks(complete(), "autoencoder") if isinstance(b, Table | Facts))
    assert isinstance(table, Table)
    assert table.columns[-1].name == "code_r2"
    assert [row[-1] for row in table.rows] == [0.132, None, None]
    assert table.caption.startswith("On 30 query masks, which neither trained nor chose anything.")
    assert isinstance(facts, Facts)
    assert {fact.name: fact.value for fact in facts.facts} == {
        "query photos of true_masks": 0.12,
        "query photos": 0.132,
        "validation part of train": 0.141,
    }
    bare = blocks(build_report(*made(latent=False)), "autoencoder")
    assert not [b for b in bare if isinstance(b, Facts)]


def test_a_training_without_validation_photos_says_so() -> None:
    evaluation, material = made()
    alone = tuple(replace(each, history=each.history[["epoch", "loss"]], monitor="loss") for each in material.trainings)
    report = build_report(evaluation, replace(material, trainings=alone))
    captions = [b.caption for b in blocks(report, "training") if isinstance(b, Figure)]
    assert captions
    for caption in captions:
        assert "lowest loss" in caption
        assert "No photos were held out" in caption
        assert "validation" not in caption.lower()


def test_a_contrastive_loss_is_said_to_depend_on_the_batch() -> None:
    evaluation, material = made()
    said = [b.caption for b in blocks(complete(), "training") if isinstance(b, Figure)]
    assert ["cannot be compared" in caption for caption in said] == [False, True]
    settings = {"cnn": {"arm": "joint", "latent_loss": "mse", "latent_weight": 0.5, "contrastive_weight": 0.0}}
    plain = build_report(evaluation, replace(material, settings=settings))
    assert not [b for b in blocks(plain, "training") if isinstance(b, Figure) and "cannot be compared" in b.caption]
    (facts,) = (b for b in blocks(complete(), "run") if isinstance(b, Facts))
    shown = {fact.name: fact.value for fact in facts.facts}
    assert (shown["lambda"], shown["contrastive weight"]) == (0.5, 0.25)


def test_a_name_has_one_colour_in_the_whole_report() -> None:
    seen: dict[str, set[str]] = {}
    for section in complete().sections:
        for gallery in (b for b in section.blocks if isinstance(b, Gallery)):
            for strip in gallery.strips:
                for swatch in strip.legend:
                    seen.setdefault(swatch.name, set()).add(swatch.colour)
    assert set(seen) == set(synthetic.CATEGORIES)
    assert all(len(colours) == 1 for colours in seen.values())
    assert len(set.union(*seen.values())) == len(seen)


def test_a_run_without_latent_head_says_so_and_keeps_five_headlines() -> None:
    report = build_report(*made(latent=False))
    assert [headline.measure for headline in report.headlines][1:] == [
        "nDCG(rel=jaccard)@10",
        "P(rel=any)@10",
        "pairwise F(rel=any)",
        "AP(rel=any)",
    ]
    (notice,) = (block for block in blocks(report, "layout") if isinstance(block, Notice))
    assert "no latent head" in notice.text
    assert "predicted layout" not in WRITERS["html"](report)


def test_without_photos_the_numbers_still_stand() -> None:
    evaluation, material = made()
    report = build_report(evaluation, replace(material, queries=None, gallery=None))
    assert not [b for s in report.sections for b in s.blocks if isinstance(b, Gallery) and s.id != "autoencoder"]
    notices = [b.text for s in report.sections for b in s.blocks if isinstance(b, Notice)]
    assert len([text for text in notices if "not available" in text]) == 2
    assert [b for b in blocks(report, "search") if isinstance(b, Table) and b.id == "measures"]


def test_an_evaluation_alone_makes_a_report() -> None:
    evaluation, _ = made()
    report = build_report(evaluation, ReportInputs())
    for render in WRITERS.values():
        assert render(report)
    assert [section.id for section in report.sections] == [
        "run",
        "search",
        "layout",
        "queries",
        "clusters",
        "shortcuts",
        "categories",
        "conventions",
    ]


def test_warnings_stand_before_the_numbers() -> None:
    html = WRITERS["html"](complete())
    assert html.index("pseudo-masks") < html.index('class="headlines"')


def test_best_and_worst_are_ordered_and_disjoint() -> None:
    evaluation, _ = made()
    best, worst = best_and_worst(evaluation, 20)
    values = evaluation.per_query["nDCG(rel=jaccard)@10"].to_numpy()
    # 29 of the 30 queries have a value, so at most 14 can be shown on either side.
    assert len(best) == len(worst) == 14
    assert not set(best) & set(worst)
    assert 0 not in {*best, *worst}, "a skipped query is neither"
    assert values[best[0]] == np.nanmax(values)
    assert values[worst[0]] == np.nanmin(values)
    assert (np.diff(values[best]) <= 0).all()
    assert (np.diff(values[worst]) >= 0).all()


def test_results_are_those_of_the_lead_ranking_without_the_query() -> None:
    (evaluation, material), report = made(), complete()
    (best,) = (
        block for block in blocks(report, "queries") if isinstance(block, Gallery) and block.id == "queries-best"
    )
    strip = best.strips[0]
    row = int(strip.id.removeprefix("query-best-"))
    labels = material.gallery.labels  # type: ignore[union-attr]
    expected = []
    for result in evaluation.rankings[evaluation.lead].rows[row, :7]:
        union = (labels[row] | labels[result]).sum()
        expected.append(f"{(labels[row] & labels[result]).sum() / union:.2f}")
    assert [tile.caption for tile in strip.tiles if tile.mark in ("relevant", "irrelevant")] == expected
    assert [tile.mark for tile in strip.tiles[:2]] == ["query", "believed"]


def test_purity_by_hand() -> None:
    # Category 0 is everywhere, category 1 in two of four photos, both in cluster 0; cluster 2 is empty.
    labels = np.array([[1, 1], [1, 1], [1, 0], [1, 0]], bool)
    found = purity(labels, np.array([0, 0, 1, 1], np.int32), 3)
    assert found.tolist() == [[0.0, 1.0], [0.0, -1.0], [0.0, 0.0]]


def test_principal_axes_by_hand() -> None:
    # Variance 4:1 along rotated axes; the first is predicted half way, the second not at all.
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    true = np.array([[2.0, 1.0], [-2.0, 1.0], [2.0, -1.0], [-2.0, -1.0]])
    predicted = true * [0.5, 0.0]
    share, r2 = principal_axes((true @ turn).astype(np.float32), (predicted @ turn).astype(np.float32))
    assert share == pytest.approx([0.8, 0.2], abs=1e-6)
    assert r2 == pytest.approx([0.75, 0.0], abs=1e-6)


def test_a_code_without_variance_has_no_r2() -> None:
    share, r2 = principal_axes(np.ones((5, 3), np.float32), np.zeros((5, 3), np.float32))
    assert share.tolist() == r2.tolist() == [0.0, 0.0, 0.0]


def test_the_page_stays_small_with_many_examples() -> None:
    _, material = made()
    sides = [thumbnail_side(replace(material, examples=count)) for count in (1, 6, 20, 50)]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == 128
    gallery = synthetic.split(photos=110, size=128)
    vectors = np.random.default_rng(1).normal(size=(110, 8)).astype(np.float32)
    evaluation = synthetic.evaluation(gallery, vectors)
    report = build_report(evaluation, replace(synthetic.material(gallery), examples=50))
    # Noise is the worst a photo codec can meet.
    assert len(WRITERS["html"](report)) < 6_000_000


def test_codes_of_a_loss_without_length_are_scaled_and_said_to_be() -> None:
    evaluation, material = made()
    layouts = material.layouts
    assert layouts is not None
    assert layouts.scale == 1.0
    decoded: list[np.ndarray] = []

    def decode(codes: np.ndarray) -> np.ndarray:
        decoded.append(codes)
        return layouts.decode(np.zeros_like(codes))

    third = replace(layouts, query_codes=layouts.true_codes / 3, length_is_learnt=False, decode=decode)
    assert third.scale == pytest.approx(3)
    report = build_report(evaluation, replace(material, layouts=third))
    assert any("direction of a code" in b.text for b in blocks(report, "layout") if isinstance(b, Notice))
    (figure,) = (b for b in blocks(report, "layout") if isinstance(b, Figure))
    assert figure.data is not None
    assert [row[2] for row in figure.data.rows] == pytest.approx([1.0] * len(figure.data.rows), abs=1e-4)
    best, _ = best_and_worst(evaluation, 3)
    typical = np.linalg.norm(layouts.true_codes, axis=1).mean()
    direction = layouts.true_codes[best[0]] / np.linalg.norm(layouts.true_codes[best[0]])
    assert decoded[0][0] == pytest.approx(direction * typical, rel=1e-4, abs=1e-5)


def test_subsets_are_shown_where_there_are_any() -> None:
    evaluation, material = made()
    assert [b.id for b in blocks(complete(), "layout") if isinstance(b, Table)] == ["by-layout", "layout-subsets"]
    alone = replace(evaluation, layout_subsets=evaluation.layout_subsets.assign(subset="all"))
    report = build_report(alone, replace(material, layouts=None))
    assert [b.id for b in blocks(report, "layout") if isinstance(b, Table)] == ["by-layout"]
