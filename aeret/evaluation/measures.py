"""The measures of one set of rankings, per query and by name, and the random floor of each under the same name.

A name says the convention: ``nDCG(rel=jaccard)@10`` is nDCG with gain ``jaccard`` over ten results.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation import floors
from aeret.evaluation.average_precision import average_precision_at
from aeret.evaluation.gallery_pass import GallerySums
from aeret.evaluation.ndcg import Values, ndcg_at
from aeret.evaluation.precision_recall import capped_recall_at, f_at, hit_at, precision_at, recall_at
from aeret.evaluation.relevance import Relevance

TOP = 10
"""Results that nDCG, hit rate and class measures look at."""
AP = "AP(rel=any)"
CLASS_P, CLASS_AP = f"P(rel=any,average=class)@{TOP}", "AP(rel=any,average=class)"
GRADED = ("jaccard", "layout")

PerQuery = dict[str, Values]


def graded_name(rule: str, gallery: str = "", search: str = "") -> str:
    """Return the name of nDCG by a graded rule.

    Args:
        rule: of relevance.
        gallery: the subset that was searched, where it is not the whole gallery.
        search: the search, where it is not the leading one.
    """
    searched = f",gallery={gallery}" if gallery else ""
    by = f",search={search}" if search else ""
    return f"nDCG(rel={rule}{searched}{by})@{TOP}"


def label_measures(
    rows: NDArray[np.int64], rule: Relevance, relevant: NDArray[np.int64], cutoffs: Sequence[int], results: int
) -> PerQuery:
    """Return P, R, capped R and F at each cut-off, hit rate and average precision at ``results``.

    Args:
        rows: rankings, int64 (q, N).
        rule: ``any``.
        relevant: relevant photos in the gallery, int64 (q,).
        cutoffs: numbers of results looked at.
        results: cut-off of average precision.
    """
    hits = rule.at(np.arange(len(rows)), rows) > 0
    values = {}
    for n in cutoffs:
        values[f"P(rel=any)@{n}"] = precision_at(hits, relevant, n)
        values[f"R(rel=any)@{n}"] = recall_at(hits, relevant, n)
        values[f"R(rel=any,capped)@{n}"] = capped_recall_at(hits, relevant, n)
        values[f"F(rel=any)@{n}"] = f_at(hits, relevant, n)
    values[f"Hit(rel=any)@{TOP}"] = hit_at(hits, relevant, TOP)
    values[f"{AP}@{results}"] = average_precision_at(hits, relevant, results)
    return values


def graded_measure(rows: NDArray[np.int64], rule: Relevance, ideal: Values) -> Values:
    """Return nDCG of rankings int64 (q, N), float64 (q,)."""
    top = np.ascontiguousarray(rows[:, :TOP])
    return ndcg_at(rule.at(np.arange(len(rows)), top), ideal, TOP)


def random_floors(sums: GallerySums, cutoffs: Sequence[int], results: int) -> PerQuery:
    """Return the exact expectation of every measure over all orders of the gallery, by the names used above."""
    relevant, candidates = sums.relevant, sums.candidates
    skip = np.where(relevant > 0, 0.0, np.nan)
    values = {}
    for n in cutoffs:
        hits = floors.random_hits(relevant, candidates, n)
        values[f"P(rel=any)@{n}"] = hits / n + skip
        values[f"R(rel=any)@{n}"] = hits / np.maximum(relevant, 1) + skip
        values[f"R(rel=any,capped)@{n}"] = hits / np.maximum(np.minimum(n, relevant), 1) + skip
        # F@n is linear in the hits, so its expectation is F of the expected hits.
        values[f"F(rel=any)@{n}"] = 2 * hits / (n + relevant) + skip
    values[f"Hit(rel=any)@{TOP}"] = floors.random_hit_rate(relevant, candidates, TOP) + skip
    values[f"{AP}@{results}"] = floors.random_average_precision(relevant, candidates, results)
    values[AP] = floors.random_average_precision(relevant, candidates)
    for rule, ideal in sums.ideal.items():
        values[graded_name(rule)] = floors.random_ndcg(sums.mean_gain[rule], ideal, candidates, TOP)
    return values


def query_free(
    sums: GallerySums, rules: dict[str, Relevance], exclude: NDArray[np.int64], cutoffs: Sequence[int], results: int
) -> tuple[PerQuery, NDArray[np.int64]]:
    """Return the measures of the query-free order of each rule, and the rows of that of ``any``, int64 (q, results)."""
    rows = floors.query_free_rows(floors.query_free_order(sums.total_gain["any"]), exclude, results)
    values = label_measures(rows, rules["any"], sums.relevant, cutoffs, results)
    for rule, ideal in sums.ideal.items():
        order = floors.query_free_order(sums.total_gain[rule])
        values[graded_name(rule)] = graded_measure(floors.query_free_rows(order, exclude, TOP), rules[rule], ideal)
    return values, rows
