"""What needs every (query, gallery photo) pair: computed in blocks of queries, never as a whole matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, squared_distances
from aeret.evaluation.average_precision import LEVELS, walk
from aeret.evaluation.ndcg import Values, ideal_dcg
from aeret.evaluation.relevance import Relevance, Truth
from aeret.progress import Progress, silent
from aeret.retrieval.bits import words_of_bools
from aeret.retrieval.full_order import cluster_ranks, full_order

_BLOCK_BYTES = 96 * 2**20
# Bytes per (query, gallery photo) that a block of either pass holds: distances, keys, a sorted copy, rows, gains.
_PAIR_BYTES = 36


@dataclass(frozen=True)
class GallerySums:
    """Sums over the whole gallery, the query itself left out."""

    relevant: NDArray[np.int64]
    """Photos that share a category with each query, int64 (q,)."""
    candidates: NDArray[np.int64]
    """Photos that could be found, int64 (q,)."""
    ideal: Mapping[str, Values]
    """Graded rule to the best possible discounted gain of each query, float64 (q,)."""
    mean_gain: Mapping[str, Values]
    """Rule to the mean gain over the gallery of each query, float64 (q,)."""
    total_gain: Mapping[str, Values]
    """Rule to the summed gain over the queries of each gallery photo, float64 (g,)."""


@dataclass(frozen=True)
class Walk:
    """Measures of whole-gallery orders, rel=any."""

    average_precision: Values
    """float64 (q,); NaN without a relevant photo."""
    class_precision: Values
    """Average precision per own class, float64 (q, c); NaN elsewhere."""
    curve: Values
    """Mean interpolated precision at each recall level over queries with a relevant photo, float64 (LEVELS,)."""


def block_size(gallery: int) -> int:
    """Return how many queries go into one block, so that a block stays below about 96 MiB; a fixed rule, so that sums
    over blocks do not depend on the machine."""
    return int(np.clip(_BLOCK_BYTES // (_PAIR_BYTES * max(1, gallery)), 1, 64))


def block_bytes(gallery: int) -> int:
    """Return the estimated bytes of one block in flight."""
    return block_size(gallery) * gallery * _PAIR_BYTES


def gallery_sums(
    rules: Mapping[str, Relevance], truth: Truth, top: int, threads: int = 0, progress: Progress = silent
) -> GallerySums:
    """Sum the gains of every rule over the gallery and over the queries, and find each query's ideal.

    Args:
        rules: name to rule; ``any`` gives the counts, all others are graded.
        truth: what the rules are bound to.
        top: results in the ideal.
        threads: 0 means one per core; never changes a result.
        progress: shows queries done.
    """
    queries, gallery = len(truth.query_labels), len(truth.gallery_labels)
    candidates = gallery - (truth.exclude >= 0).astype(np.int64)
    row_sums = {name: np.zeros(queries) for name in rules}
    ideal = {name: np.zeros(queries) for name in rules if name != "any"}

    def work(start: int, stop: int) -> dict[str, Values]:
        rows = np.arange(start, stop)
        totals = {}
        for name, rule in rules.items():
            gains = rule.gains(rows)
            row_sums[name][start:stop] = gains.sum(axis=1, dtype=np.float64)
            totals[name] = gains.sum(axis=0, dtype=np.float64)
            if name in ideal:
                ideal[name][start:stop] = ideal_dcg(gains, top)
        return totals

    total = {name: np.zeros(gallery) for name in rules}
    with progress("relevance of the whole gallery", queries, unit="query") as step:
        for part in over_blocks(queries, block_size(gallery), work, threads, step):
            for name, gains in part.items():
                total[name] += gains
    mean = {name: sums / np.maximum(candidates, 1) for name, sums in row_sums.items()}
    return GallerySums(np.rint(row_sums["any"]).astype(np.int64), candidates, ideal, mean, total)


def whole_walks(
    queries: Vectors,
    gallery: Vectors,
    clustering: Clustering,
    truth: Truth,
    query_free: NDArray[np.int32],
    threads: int = 0,
    progress: Progress = silent,
) -> dict[str, Walk]:
    """Walk whole-gallery orders of every query: ``exhaustive``, ``cluster-first sequential`` and ``query-free``.

    Args:
        queries: checked, float32 (q, d).
        gallery: checked, float32 (g, d).
        clustering: of the gallery.
        truth: labels and self rows.
        query_free: one fixed order, int32 (g,).
        threads: 0 means one per core; never changes a result.
        progress: shows queries done.
    """
    query_words, gallery_words = words_of_bools(truth.query_labels), words_of_bools(truth.gallery_labels)
    names = ("exhaustive", "cluster-first sequential", "query-free")
    precision = {name: np.full(len(queries), np.nan) for name in names}
    by_class = {name: np.full(truth.query_labels.shape, np.nan) for name in names}

    def work(start: int, stop: int) -> dict[str, Values]:
        squared = squared_distances(queries[start:stop], gallery)
        curves = {name: np.zeros(LEVELS) for name in names}
        for name in names:
            orders = None
            if name == "exhaustive":
                orders = full_order(squared)
            elif name == "cluster-first sequential":
                ranks = cluster_ranks(queries[start:stop], clustering.centroids)
                orders = full_order(squared, ranks, clustering.assignment)
            for i in range(start, stop):
                order = query_free if orders is None else orders[i - start]
                classes = np.flatnonzero(truth.query_labels[i])
                own, curve = np.empty(len(classes)), np.empty(LEVELS)
                skip = int(truth.exclude[i])
                precision[name][i] = walk(order, skip, query_words[i], gallery_words, classes, own, curve)
                by_class[name][i, classes] = own
                curves[name] += np.nan_to_num(curve)
        return curves

    total = {name: np.zeros(LEVELS) for name in names}
    with progress("whole-gallery orders", len(queries), unit="query") as step:
        for part in over_blocks(len(queries), block_size(len(gallery)), work, threads, step):
            for name, curve in part.items():
                total[name] += curve
    counted = max(1, int(np.isfinite(precision["exhaustive"]).sum()))
    return {name: Walk(precision[name], by_class[name], total[name] / counted) for name in names}
