"""Layout figures: query by layout, and layout nDCG on subsets of the queries (those with real masks)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.distances import Vectors
from aeret.evaluation import floors
from aeret.evaluation.gallery_pass import gallery_sums
from aeret.evaluation.measures import TOP, PerQuery, graded_name, listed, measured
from aeret.evaluation.metrics import Judge
from aeret.evaluation.metrics.ranked import Values
from aeret.evaluation.query_by_layout import LayoutCodes, code_r2, own_ranks
from aeret.evaluation.relevance import Truth
from aeret.evaluation.significance import bootstrap_interval
from aeret.evaluation.tables import RESAMPLES, mean, table
from aeret.retrieval import cluster_first, exhaustive
from aeret.rng import generator

HITS = (1, 5, TOP)
"""Ranks up to which a photo counts as found by its layout."""
QUERY_COLUMNS = (
    "subset",
    "gallery",
    "queries",
    "candidates",
    *(f"R@{n}{part}" for n in HITS for part in ("", " low", " high")),
    "median_rank",
    *(f"floor R@{n}" for n in HITS),
    "floor median_rank",
    "code_r2",
)
SUBSET_COLUMNS = (
    "subset",
    "gallery",
    "method",
    "measure",
    "queries",
    "value",
    "low",
    "high",
    "floor_random",
    "floor_query_free",
)
LAYOUT = graded_name("layout")


@dataclass(frozen=True)
class Restricted:
    """One search task cut to a subset of the queries and of the gallery."""

    truth: Truth
    queries: Vectors
    gallery: Vectors
    clustering: Clustering


def query_by_layout(
    codes: LayoutCodes,
    with_mask: NDArray[np.bool_],
    subsets: Mapping[str, NDArray[np.bool_]],
    similarity: str,
    seed: int,
) -> tuple[pd.DataFrame, NDArray[np.int32]]:
    """Return the query-by-layout table and each query's rank among all query photos, int32 (q,), 0 where skipped.

    Args:
        codes: of the query photos.
        with_mask: queries that have any mask, bool (q,); the others are candidates, but no queries.
        subsets: name to queries, bool (q,); each is ranked among all photos and among the subset alone.
        similarity: of codes.
        seed: of the bootstrap.
    """
    ranks = np.where(with_mask, own_ranks(codes, similarity), 0).astype(np.int32)
    everyone = np.ones(len(with_mask), bool)
    rows = [_layout_row("all", "all", ranks, with_mask, everyone, codes, seed)]
    for name, flags in subsets.items():
        rows.append(_layout_row(name, "all", ranks, with_mask & flags, everyone, codes, seed))
        within = own_ranks(codes, similarity, flags)
        rows.append(_layout_row(name, name, within, with_mask & flags, flags, codes, seed))
    return table(rows, QUERY_COLUMNS), ranks


def layout_columns(ranks: NDArray[np.int32]) -> PerQuery:
    """Return the per-query columns of query by layout: rank, and whether it is within 1, 5, 10; NaN where skipped."""
    skip = np.where(ranks > 0, 0.0, np.nan)
    columns: PerQuery = {"layout rank": np.asarray(ranks + skip, np.float64)}
    for n in HITS:
        columns[f"layout R@{n}"] = np.asarray((ranks <= n) + skip, np.float64)
    return columns


def restrict(
    truth: Truth,
    queries: Vectors,
    gallery: Vectors,
    clustering: Clustering,
    query_flags: NDArray[np.bool_],
    gallery_flags: NDArray[np.bool_],
) -> Restricted:
    """Return the search of some queries in some of the gallery; the clusters stay those of the whole gallery."""
    asked, found = np.flatnonzero(query_flags), np.flatnonzero(gallery_flags)
    place = np.full(len(gallery_flags) + 1, -1, np.int64)
    place[found] = np.arange(len(found))
    cut = Truth(
        truth.query_labels[asked],
        truth.gallery_labels[found],
        place[truth.exclude[asked]],  # -1 reads the last entry, which stays -1
        None if truth.query_masks is None else truth.query_masks.take(asked),
        None if truth.gallery_masks is None else truth.gallery_masks.take(found),
    )
    kept = Clustering(clustering.centroids, clustering.assignment[found], clustering.inertia)
    return Restricted(cut, queries[asked], gallery[found], kept)


def subset_measures(task: Restricted, order: str, threads: int = 0) -> tuple[dict[str, Values], Values, Values]:
    """Return layout nDCG@10 inside a subset: per method, and its random and query-free floors, float64 (q,) each."""
    truth = task.truth
    judge = Judge(truth, threads)
    sums = gallery_sums(judge, ("any", "layout"), TOP, threads)
    search = cluster_first.ClusterFirst(task.gallery, task.clustering).search
    lead = search(task.queries, TOP, order, truth.exclude, threads=threads)
    exact = exhaustive.search(task.queries, task.gallery, TOP, truth.exclude, threads=threads)
    free = floors.query_free_rows(floors.query_free_order(sums.total_gain["layout"]), truth.exclude, TOP)
    methods = {
        name: measured([LAYOUT], ranking, judge, threads)[LAYOUT]
        for name, ranking in ((f"cluster-first {order}", lead), ("exhaustive", exact), ("query-free", listed(free)))
    }
    random = floors.random_ndcg(sums.mean_gain["layout"], sums.ideal()["layout"], sums.candidates, TOP)
    return methods, random, methods.pop("query-free")


def subset_rows(
    subset: str, gallery: str, methods: Mapping[str, Values], random: Values, free: Values, seed: int
) -> list[dict[str, Any]]:
    """Return the rows of one subset for the table of layout figures."""
    rows = []
    for method, values in methods.items():
        low, high = bootstrap_interval(values[:, None], generator(seed, "bootstrap"), RESAMPLES)
        count = int(np.isfinite(values).sum())
        record = (subset, gallery, method, LAYOUT, count, mean(values), low[0], high[0], mean(random), mean(free))
        rows.append(dict(zip(SUBSET_COLUMNS, record, strict=True)))
    return rows


def _layout_row(
    subset: str,
    gallery: str,
    ranks: NDArray[np.int32],
    asked: NDArray[np.bool_],
    candidates: NDArray[np.bool_],
    codes: LayoutCodes,
    seed: int,
) -> dict[str, Any]:
    own, count = ranks[asked], int(candidates.sum())
    found = (own[:, None] <= np.array(HITS)).astype(np.float64)
    low, high = bootstrap_interval(found, generator(seed, "bootstrap"), RESAMPLES)
    shares: dict[str, float] = {}
    for column, n in enumerate(HITS):
        shares |= {f"R@{n}": mean(found[:, column]), f"R@{n} low": low[column], f"R@{n} high": high[column]}
    return {
        "subset": subset,
        "gallery": gallery,
        "queries": len(own),
        "candidates": count,
        **shares,
        "median_rank": float(np.median(own)) if len(own) else float("nan"),
        # A random order puts the own photo at each of the places with the same chance.
        **{f"floor R@{n}": min(1.0, n / max(1, count)) for n in HITS},
        "floor median_rank": (count + 1) / 2,
        "code_r2": code_r2(LayoutCodes(codes.own[asked], codes.predicted[asked])),
    }
