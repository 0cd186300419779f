from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from slow_measures import average_precision, discounted

from aeret.clustering.kmeans import Clustering, fit_kmeans
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import DataError, RunError, UsageError
from aeret.evaluation.evaluate import Evaluation, LayoutCodes, PhotoSet
from aeret.evaluation.memory import available_bytes, demand_memory, estimate_bytes
from aeret.evaluation.relevance import Truth, relevance

LEAD = "cluster-first sequential"


def test_measures_are_those_of_whole_matrices(task, evaluation: Evaluation) -> None:
    """Everything again the slow way: one matrix of distances, one of gains, one sort."""
    photos = task.photos
    unit = l2_normalise(photos.vectors).astype(np.float64)
    far = ((unit[:, None] - unit[None]) ** 2).sum(axis=2)
    np.fill_diagonal(far, np.inf)
    order = np.argsort(far, axis=1, kind="stable")[:, :-1]
    shared = (photos.labels.astype(int) @ photos.labels.T.astype(int)) > 0
    hits = np.take_along_axis(shared, order, axis=1)
    relevant = hits.sum(axis=1)
    known = relevant > 0
    assert evaluation.value("P(rel=any)@10", "exhaustive") == pytest.approx(hits[known, :10].mean())
    assert evaluation.value("R(rel=any)@5", "exhaustive") == pytest.approx(
        (hits[known, :5].sum(axis=1) / relevant[known]).mean()
    )
    assert evaluation.value("R(rel=any,capped)@5", "exhaustive") == pytest.approx(
        np.mean([row[:5].sum() / min(5, count) for row, count in zip(hits[known], relevant[known], strict=True)])
    )
    whole = [average_precision(row, count) for row, count in zip(hits[known].tolist(), relevant[known], strict=True)]
    assert evaluation.value("AP(rel=any)", "exhaustive") == pytest.approx(np.mean(whole))
    truth = Truth(photos.labels, photos.labels, np.arange(120), photos.masks, photos.masks)
    for rule in ("jaccard", "layout"):
        gains = relevance(rule, truth).gains(np.arange(120))
        ranked, best = np.take_along_axis(gains, order, axis=1), -np.sort(-gains, axis=1)
        expected = [discounted(a, 10) / discounted(b, 10) for a, b in zip(ranked, best, strict=True) if b[0] > 0]
        assert evaluation.value(f"nDCG(rel={rule})@10", "exhaustive") == pytest.approx(np.mean(expected))

    per_class, average = [], []
    for c in range(photos.labels.shape[1]):
        rows = np.flatnonzero(photos.labels[:, c])
        holds = photos.labels[order[rows], c]
        per_class.append(holds[:, :10].mean())
        average.append(np.mean([average_precision(row, sum(row)) for row in holds.tolist()]))
    assert evaluation.value("P(rel=any,average=class)@10", "exhaustive") == pytest.approx(np.mean(per_class))
    assert evaluation.value("AP(rel=any,average=class)", "exhaustive") == pytest.approx(np.mean(average))


def test_the_query_free_floor_of_average_precision_is_that_of_one_fixed_order(task, evaluation: Evaluation) -> None:
    photos = task.photos
    shared = (photos.labels.astype(int) @ photos.labels.T.astype(int)) > 0
    np.fill_diagonal(shared, False)
    fixed = np.argsort(-shared.sum(axis=0), kind="stable")
    orders = [[row for row in fixed if row != query] for query in range(len(photos.ids))]
    values = [
        average_precision(shared[query, order].tolist(), int(shared[query].sum()))
        for query, order in enumerate(orders)
        if shared[query].any()
    ]
    measures = evaluation.measures.set_index(["method", "measure"])
    row = measures.loc[("exhaustive", "AP(rel=any)")]
    assert row["floor_query_free"] == pytest.approx(np.mean(values))
    assert row["floor_query_free"] > row["floor_random"] + 0.01


def test_random_embeddings_reach_the_random_floor(task) -> None:
    rng = np.random.default_rng(0)
    names = ("P(rel=any)@10", "AP(rel=any)", "nDCG(rel=jaccard)@10", "nDCG(rel=layout)@10", "AP(rel=any)@30")
    found = []
    for _ in range(6):
        vectors = rng.standard_normal((120, 30)).astype(np.float32)
        one = task.run(
            queries=(photos := replace(task.photos, vectors=vectors)), gallery=photos, codes=None
        ).measures.set_index(["method", "measure"])
        found.append([one.loc[("exhaustive", name), "value"] for name in names])
    floors = [one.loc[("exhaustive", name), "floor_random"] for name in names]
    np.testing.assert_allclose(np.mean(found, axis=0), floors, rtol=0.06)


def test_every_measure_stands_beside_its_floors_and_interval(evaluation: Evaluation) -> None:
    frame = evaluation.measures
    assert set(frame["method"]) == {LEAD, "cluster-first pooled", "exhaustive"}
    assert np.isfinite(frame[["value", "low", "high", "floor_random", "floor_query_free"]]).all(axis=None)
    assert (frame["low"] <= frame["value"]).all()
    assert (frame["value"] <= frame["high"]).all()
    assert (frame["queries"] + frame["skipped"] == 120).all()
    assert (frame["skipped"] > 0).all()  # the task holds photos without labels
    assert (frame["floor_query_free"] >= frame["floor_random"] - 1e-9).mean() > 0.9
    assert len(evaluation.cutoffs) == 3 * 4 * 4
    assert set(evaluation.cutoffs["measure"]) == {"P", "R", "R capped", "F"}
    assert evaluation.pairs["name"].tolist() == ["clusters", "single cluster", "random partition", "label oracle"]
    curve = evaluation.pr_curve
    assert len(curve) == 101
    assert (np.diff(curve["precision"]) <= 1e-12).all()
    assert curve["precision"].iloc[-1] >= curve["floor"].iloc[0] - 0.02
    assert len(evaluation.per_class) == 7
    search = evaluation.search.set_index("method")
    assert search.loc["exhaustive", "agreement_10"] == 1
    assert search.loc[LEAD, "share_scanned"] < search.loc["exhaustive", "share_scanned"]


def test_the_same_seed_gives_the_same_numbers_for_any_number_of_threads(task, evaluation: Evaluation) -> None:
    again = task.run(threads=3)
    assert again.to_dict() == evaluation.to_dict() | {"facts": again.to_dict()["facts"]}
    pd.testing.assert_frame_equal(again.per_query, evaluation.per_query)
    other = task.run(seed=4)
    assert other.value("P(rel=any)@10", "exhaustive") == evaluation.value("P(rel=any)@10", "exhaustive")
    assert other.cutoffs["mean"].tolist() != evaluation.cutoffs["mean"].tolist()


def test_permuting_the_gallery_changes_no_measure(task, evaluation: Evaluation) -> None:
    photos = task.photos
    rows = np.random.default_rng(0).permutation(120)
    moved = PhotoSet(
        photos.ids[rows],
        photos.vectors[rows],
        photos.labels[rows],
        photos.masks.take(rows),
        {name: flags[rows] for name, flags in photos.subsets.items()},
    )
    unit = l2_normalise(photos.vectors)
    clusters = fit_kmeans(unit, 6, 3, 1)
    there = Clustering(clusters.centroids, clusters.assignment[rows], clusters.inertia)
    first, second = task.run(clustering=clusters), task.run(gallery=moved, clustering=there)
    columns = ["value", "floor_random", "queries"]
    np.testing.assert_allclose(first.measures[columns], second.measures[columns], rtol=1e-12)
    for name, ranking in first.rankings.items():
        np.testing.assert_array_equal(photos.ids[ranking.rows], moved.ids[second.rankings[name].rows])


def test_one_cluster_makes_all_searches_the_exhaustive_one(task) -> None:
    found = task.run(settings=task.settings.model_copy(update={"clusters": 1}))
    frame = found.measures.pivot(index="measure", columns="method", values="value").dropna()
    assert len(frame) > 10
    assert (frame[LEAD] == frame["exhaustive"]).all()
    clusters = found.pairs.set_index("name")
    assert clusters.loc["clusters", "f"] == clusters.loc["single cluster", "f"]


def test_a_query_never_finds_itself_and_gets_exactly_n(task, evaluation: Evaluation) -> None:
    for ranking in evaluation.rankings.values():
        assert ranking.rows.shape == (120, 30)
        assert not (ranking.rows == np.arange(120)[:, None]).any()
        assert all(len(set(row)) == 30 for row in ranking.rows.tolist())
    apart = task.run(leave_one_out=False)
    assert (apart.rankings["exhaustive"].rows[:, 0] == np.arange(120)).all()
    short = task.run(settings=task.settings.model_copy(update={"results": 500}))
    assert short.rankings[LEAD].rows.shape == (120, 119)
    assert short.facts["results"] == 119


def test_queries_may_be_a_part_of_the_gallery_in_another_order(task) -> None:
    rows = np.array([50, 3, 77])
    photos = task.photos
    part = PhotoSet(photos.ids[rows], photos.vectors[rows], photos.labels[rows], photos.masks.take(rows))
    found = task.run(queries=part, codes=None)
    assert not (found.rankings["exhaustive"].rows == rows[:, None]).any()
    whole = task.run(codes=None).rankings["exhaustive"].rows[rows]
    np.testing.assert_array_equal(found.rankings["exhaustive"].rows, whole)


def test_layout_figures_of_subsets(task, evaluation: Evaluation) -> None:
    frame = evaluation.layout_subsets.set_index(["subset", "gallery", "method"])
    flags = task.photos.subsets["real"]
    lead = evaluation.per_query["nDCG(rel=layout)@10"]
    assert frame.loc[("real", "all", LEAD), "value"] == pytest.approx(np.nanmean(lead[flags]))
    # Inside the subset: the same as an evaluation of the subset alone.
    rows = np.flatnonzero(flags)
    photos = task.photos
    alone = PhotoSet(photos.ids[rows], photos.vectors[rows], photos.labels[rows], photos.masks.take(rows))
    expected = task.run(queries=alone, gallery=alone, codes=None)
    inside = frame.loc[("real", "real", "exhaustive")]
    row = expected.measures.set_index(["method", "measure"]).loc[("exhaustive", "nDCG(rel=layout)@10")]
    for column in ("value", "low", "high", "floor_random", "floor_query_free", "queries"):
        assert inside[column] == pytest.approx(row[column]), column
    column = evaluation.per_query["nDCG(rel=layout,gallery=real)@10"]
    assert column[~flags].isna().all()
    assert np.nanmean(column) == pytest.approx(frame.loc[("real", "real", LEAD), "value"])


def test_query_by_layout_columns(task, evaluation: Evaluation) -> None:
    masked = task.photos.labels.any(axis=1)
    assert ((evaluation.layout_ranks > 0) == masked).all()
    all_row = evaluation.query_by_layout.iloc[0]
    assert (all_row["queries"], all_row["candidates"]) == (masked.sum(), 120)
    assert all_row["R@10"] == pytest.approx(np.nanmean(evaluation.per_query["layout R@10"]))
    assert all_row["median_rank"] == np.nanmedian(evaluation.per_query["layout rank"])
    for n in (1, 5, 10):
        assert all_row[f"R@{n}"] == pytest.approx(np.nanmean(evaluation.per_query[f"layout R@{n}"]))
        assert all_row[f"floor R@{n}"] == pytest.approx(n / 120)
    assert all_row["floor median_rank"] == 60.5
    inside = evaluation.query_by_layout.iloc[2]
    members = task.photos.subsets["real"].sum()
    assert (inside["subset"], inside["gallery"], inside["candidates"]) == ("real", "real", members)
    assert inside["floor R@5"] == pytest.approx(5 / members)
    assert inside["floor median_rank"] == (members + 1) / 2
    without = task.run(codes=None)
    assert without.query_by_layout.empty
    assert not len(without.layout_ranks)
    assert "layout rank" not in without.per_query


def test_the_interval_of_query_by_layout_is_a_bootstrap_over_queries(evaluation: Evaluation) -> None:
    row = evaluation.query_by_layout.iloc[0]
    for n in (1, 5, 10):
        hits = evaluation.per_query[f"layout R@{n}"].dropna().to_numpy()
        error = 1.96 * hits.std() / np.sqrt(len(hits))
        assert row[f"R@{n} low"] == pytest.approx(hits.mean() - error, abs=0.03)
        assert row[f"R@{n} high"] == pytest.approx(hits.mean() + error, abs=0.03)
        assert row[f"R@{n} low"] < row[f"R@{n}"] < row[f"R@{n} high"]


def test_without_masks_layout_is_left_out(task) -> None:
    photos = replace(task.photos, masks=None)
    found = task.run(queries=photos, gallery=photos)
    assert not found.measures["measure"].str.contains("layout").any()
    assert found.layout_subsets.empty
    assert found.query_by_layout.iloc[0]["queries"] == 120


def test_pooled_may_lead(task) -> None:
    found = task.run(settings=task.settings.model_copy(update={"order": "pooled"}))
    assert found.lead == "cluster-first pooled" == next(iter(found.rankings))
    pooled = found.per_query["P(rel=any)@10"]
    assert np.nanmean(pooled) == pytest.approx(found.value("P(rel=any)@10", "cluster-first pooled"))
    assert "AP(rel=any)" not in found.per_query
    assert found.per_class["AP"].notna().all()


def test_cluster_facts(task, evaluation: Evaluation) -> None:
    clusters = evaluation.clusters
    assert sum(clusters["sizes"]) == 120
    assert len(clusters["examples"]) == 6
    for c, rows in enumerate(clusters["examples"]):
        assert len(rows) == min(12, clusters["sizes"][c])
        assert (evaluation.assignment[rows] == c).all()


def test_an_evaluation_is_saved_and_loaded(task, evaluation: Evaluation, tmp_path: Path) -> None:
    for name, one in (("full", evaluation), ("bare", task.run(codes=None))):
        one.save(tmp_path / name)
        loaded = Evaluation.open(tmp_path / name)
        assert loaded.to_dict() == one.to_dict()
        for frame in ("measures", "cutoffs", "pairs", "per_query", "query_by_layout", "layout_subsets", "per_class"):
            pd.testing.assert_frame_equal(getattr(loaded, frame), getattr(one, frame))
        for method, ranking in one.rankings.items():
            np.testing.assert_array_equal(loaded.rankings[method].rows, ranking.rows)
            np.testing.assert_array_equal(loaded.rankings[method].probes, ranking.probes)
        np.testing.assert_array_equal(loaded.layout_ranks, one.layout_ranks)
        np.testing.assert_array_equal(loaded.gallery_ids, one.gallery_ids)


def test_values_that_are_not_numbers_become_null_and_come_back(evaluation: Evaluation, tmp_path: Path) -> None:
    measures = evaluation.measures.copy()
    measures.loc[0, "low"] = math.nan
    measures["high"] = math.nan
    replace(evaluation, measures=measures).save(tmp_path)
    assert "NaN" not in (tmp_path / "metrics.json").read_text()
    pd.testing.assert_frame_equal(Evaluation.open(tmp_path).measures, measures)


def test_a_missing_or_damaged_evaluation_is_said_to_be(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no evaluation"):
        Evaluation.open(tmp_path)
    evaluation.save(tmp_path)
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(DataError, match="damaged evaluation"):
        Evaluation.open(tmp_path)
    with pytest.raises(DataError, match="no 'P@10' of 'exhaustive'"):
        evaluation.value("P@10", "exhaustive")


def test_parts_that_do_not_fit_are_refused(task, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = task.photos
    cases = {
        "119 rows of labels": {"queries": replace(photos, labels=photos.labels[1:])},
        "2 rows of subset x": {"queries": replace(photos, subsets={"x": np.ones(2, bool)})},
        "119 rows of masks": {"gallery": replace(photos, masks=photos.masks.take(np.arange(119)))},
        "6 names were given": {"categories": task.names[:6]},
        "hold a photo id twice": {"queries": replace(photos, ids=np.zeros(120, np.int64))},
        "120 are not, the first": {"queries": replace(photos, ids=photos.ids + 100_000)},
        "codes of 3 photos": {"codes": LayoutCodes(task.codes.own[:3], task.codes.predicted[:3])},
        "500 clusters": {"settings": task.settings.model_copy(update={"clusters": 500})},
    }
    for message, changes in cases.items():
        with pytest.raises(UsageError, match=message):
            task.run(**changes)
    none = PhotoSet(photos.ids[:0], photos.vectors[:0], photos.labels[:0])
    with pytest.raises(UsageError, match="at least one query"):
        task.run(queries=none, leave_one_out=False, codes=None)
    monkeypatch.setattr("aeret.evaluation.memory.available_bytes", lambda: 1000)
    with pytest.raises(RunError, match="GiB are free") as caught:
        task.run()
    assert caught.value.exit_code == 1, "a smaller run may fit"


def test_memory_is_estimated_and_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert estimate_bytes(100, 1000, 64, 10, 0, 10) < estimate_bytes(100, 100_000, 64, 10, 0, 10)
    assert estimate_bytes(5000, 120_000, 256, 80, 2**26, 100) < 2 * 2**30
    available = available_bytes()
    assert available is None or available > 2**20
    for enough in (None, 10):
        monkeypatch.setattr("aeret.evaluation.memory.available_bytes", lambda enough=enough: enough)
        demand_memory(10)


def test_a_containers_limit_counts_where_it_is_the_lower(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("aeret.evaluation.memory._PROC", tmp_path)
    monkeypatch.setattr("aeret.evaluation.memory._CGROUP", tmp_path)
    assert available_bytes() is None
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 8000 kB\n")
    assert available_bytes() == 8000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() == 8000 * 1024
    (tmp_path / "memory.max").write_text("5000000\n")
    (tmp_path / "memory.current").write_text("4000000\n")
    (tmp_path / "memory.stat").write_text("anon 1000000\ninactive_file 2500000\n")
    assert available_bytes() == 3_500_000
