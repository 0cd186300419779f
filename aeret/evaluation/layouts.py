"""Compute layout figures: query by layout, and layout nDCG on subsets of the queries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.evaluation.measures import MethodValues, PerQuery, graded_name, measured, query_free_ranking, random_ndcg
from aeret.evaluation.metrics import Judge
from aeret.evaluation.metrics.ranked import Values
from aeret.evaluation.query_by_layout import LayoutCodes, code_r2, own_ranks
from aeret.evaluation.relevance import Truth
from aeret.evaluation.searches import EXHAUSTIVE
from aeret.evaluation.significance import bootstrap_interval
from aeret.evaluation.tables import RESAMPLES, Floors, mean, table
from aeret.evaluation.task import TOP, EvaluationTask
from aeret.retrieval import exhaustive
from aeret.retrieval.cluster_first import ClusterFirst
from aeret.rng import generator

HITS = (1, 5, TOP)
"""Ranks up to which a photo counts as found by its layout."""
_QUERY_COLUMNS = (
    *("subset", "gallery", "queries", "candidates"),
    *(f"R@{n}{part}" for n in HITS for part in ("", " low", " high")),
    *("median_rank", *(f"floor R@{n}" for n in HITS), "floor median_rank", "code_r2"),
)
_SUBSET_COLUMNS = (
    *("subset", "gallery", "method", "measure", "queries"),
    *("value", "low", "high", "floor_random", "floor_query_free"),
)
_LAYOUT = graded_name("layout")


@dataclass(frozen=True)
class LayoutFigures:
    """Figures of layout, as :class:`aeret.evaluation.result.Evaluation` holds them."""

    query_by_layout: pd.DataFrame
    subsets: pd.DataFrame
    ranks: NDArray[np.int32]
    rank_columns: PerQuery
    """Per-query columns of query by layout."""
    subset_columns: PerQuery
    """Per-query columns of the leading search inside subsets."""


def layout_figures(
    task: EvaluationTask, clustering: Clustering, methods: Mapping[str, MethodValues], bounds: Floors
) -> LayoutFigures:
    """Compute query by layout, if the task has codes, and layout nDCG on every subset, if it has masks."""
    by_layout, ranks = table((), _QUERY_COLUMNS), np.zeros(0, np.int32)
    if task.codes is not None:
        by_layout, ranks = _query_by_layout(task, task.codes)
    columns: PerQuery = {}
    rows: list[dict[str, Any]] = []
    subsets = {"all": np.ones(len(task.queries.ids), bool), **task.queries.subsets}
    for name, flags in subsets.items() if "layout" in task.graded else ():
        if not flags.any():
            continue
        values = {method: methods[method].per_query[_LAYOUT][flags] for method in (task.lead, EXHAUSTIVE)}
        ends = tuple(each.per_query[_LAYOUT][flags] for each in (bounds.random, bounds.query_free))
        rows += _subset_rows((name, "all"), values, ends, task.options.seed)
        found = task.gallery.subsets.get(name)
        if found is not None and found.sum() > TOP:
            values, ends = _inside_subset(task, clustering, flags, found)
            rows += _subset_rows((name, name), values, ends, task.options.seed)
            columns[graded_name("layout", name)] = np.full(len(flags), np.nan)
            columns[graded_name("layout", name)][flags] = values[task.lead]
    rank_columns = {} if task.codes is None else _rank_columns(ranks)
    return LayoutFigures(by_layout, table(rows, _SUBSET_COLUMNS), ranks, rank_columns, columns)


def _query_by_layout(task: EvaluationTask, codes: LayoutCodes) -> tuple[pd.DataFrame, NDArray[np.int32]]:
    """Return the table and the rank of each query among all query photos, int32 (q,), 0 for one without a mask."""
    seed, similarity, masks = task.options.seed, task.options.settings.layout_similarity, task.queries.masks
    everyone = np.ones(len(task.queries.ids), bool)
    asked = everyone if masks is None else np.diff(masks.offsets) > 0
    ranks = np.where(asked, own_ranks(codes, similarity), 0).astype(np.int32)
    rows = [_layout_row(("all", "all"), ranks[asked], everyone, codes.of(asked), seed)]
    for name, flags in task.queries.subsets.items():
        chosen = asked & flags
        within = own_ranks(codes, similarity, flags)
        rows.append(_layout_row((name, "all"), ranks[chosen], everyone, codes.of(chosen), seed))
        rows.append(_layout_row((name, name), within[chosen], flags, codes.of(chosen), seed))
    return table(rows, _QUERY_COLUMNS), ranks


def _layout_row(
    place: tuple[str, str], ranks: NDArray[np.int32], candidates: NDArray[np.bool_], codes: LayoutCodes, seed: int
) -> dict[str, Any]:
    count = int(candidates.sum())
    found = (ranks[:, None] <= np.array(HITS)).astype(np.float64)
    low, high = bootstrap_interval(found, generator(seed, "bootstrap"), RESAMPLES)
    shares = [part for column in range(len(HITS)) for part in (mean(found[:, column]), low[column], high[column])]
    median = float(np.median(ranks)) if len(ranks) else float("nan")
    # A random order puts the own photo at each of the places with the same chance.
    chance = [*(min(1.0, n / max(1, count)) for n in HITS), (count + 1) / 2]
    record = (*place, len(ranks), count, *shares, median, *chance, code_r2(codes))
    return dict(zip(_QUERY_COLUMNS, record, strict=True))


def _rank_columns(ranks: NDArray[np.int32]) -> PerQuery:
    """Return rank, and whether it is within 1, 5, 10, of every query; NaN for one without a mask."""
    places = np.where(ranks > 0, ranks.astype(np.float64), np.nan)
    hits = {f"layout R@{n}": np.where(ranks > 0, (ranks <= n).astype(np.float64), np.nan) for n in HITS}
    return {"layout rank": places, **hits}


def _inside_subset(
    task: EvaluationTask, clustering: Clustering, query_flags: NDArray[np.bool_], gallery_flags: NDArray[np.bool_]
) -> tuple[dict[str, Values], tuple[Values, ...]]:
    """Search a subset of the gallery for a subset of the queries; the clusters stay those of the whole gallery.

    Returns:
        Layout nDCG@10 of the leading and of exhaustive search; its random and query-free floors; float64 (q,) each.
    """
    truth, order = _part(task.judge.truth, query_flags, gallery_flags), task.options.settings.order
    judge, threads = Judge(truth), task.options.threads
    queries, gallery = task.query_vectors[query_flags], task.gallery_vectors[gallery_flags]
    kept = Clustering(clustering.centroids, clustering.assignment[gallery_flags], clustering.inertia)
    lead = ClusterFirst(gallery, kept).search(queries, TOP, order, truth.exclude, threads=threads)
    exact = exhaustive.search(queries, gallery, TOP, truth.exclude, threads=threads)
    random, free = random_ndcg(judge, "layout"), query_free_ranking(judge, "layout", TOP)
    values = [measured([_LAYOUT], ranking, judge)[_LAYOUT] for ranking in (lead, exact, free)]
    return {task.lead: values[0], EXHAUSTIVE: values[1]}, (random, values[2])


def _part(truth: Truth, query_flags: NDArray[np.bool_], gallery_flags: NDArray[np.bool_]) -> Truth:
    asked, found = np.flatnonzero(query_flags), np.flatnonzero(gallery_flags)
    place = np.full(len(gallery_flags) + 1, -1, np.int64)  # a query outside the gallery, row -1, reads the last entry
    place[found] = np.arange(len(found))
    return Truth(
        truth.query_labels[asked],
        truth.gallery_labels[found],
        place[truth.exclude[asked]],
        None if truth.query_masks is None else truth.query_masks.take(asked),
        None if truth.gallery_masks is None else truth.gallery_masks.take(found),
    )


def _subset_rows(
    place: tuple[str, str], methods: Mapping[str, Values], ends: tuple[Values, ...], seed: int
) -> Iterator[dict[str, Any]]:
    for method, values in methods.items():
        low, high = bootstrap_interval(values[:, None], generator(seed, "bootstrap"), RESAMPLES)
        count = int(np.isfinite(values).sum())
        record = (*place, method, _LAYOUT, count, mean(values), low[0], high[0], *map(mean, ends))
        yield dict(zip(_SUBSET_COLUMNS, record, strict=True))
