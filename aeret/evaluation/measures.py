"""The measures that an evaluation reports, by name, and the random and query-free floors under the same names.

A name says the convention: ``nDCG(rel=jaccard)@10`` is nDCG with gain ``jaccard`` over ten results. What each means is
in :data:`aeret.evaluation.metrics.METRICS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation import floors
from aeret.evaluation.gallery_pass import GallerySums
from aeret.evaluation.metrics import Judge, Orders, measure
from aeret.evaluation.metrics.ranked import Values
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking

TOP = 10
"""Results that nDCG, hit rate and class measures look at."""
AP = "AP(rel=any)"
CLASS_P, CLASS_AP = f"P(rel=any,average=class)@{TOP}", "AP(rel=any,average=class)"
CURVE = "PR(rel=any)"
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


def label_names(cutoffs: Sequence[int], results: int) -> list[str]:
    """Return P, R, capped R and F at each cut-off, hit rate and average precision at ``results``."""
    forms = ("P(rel=any)", "R(rel=any)", "R(rel=any,capped)", "F(rel=any)")
    return [*(f"{form}@{n}" for n in cutoffs for form in forms), f"Hit(rel=any)@{TOP}", f"{AP}@{results}"]


def measured(names: Iterable[str], ranking: Ranking | Orders, judge: Judge, progress: Progress = silent) -> PerQuery:
    """Return measures by name, float64 (q,), as :func:`aeret.evaluation.metrics.measure` gives them."""
    return {str(each): values for each, values in measure(names, ranking, judge, progress=progress).items()}


def listed(rows: NDArray[np.int64]) -> Ranking:
    """Return rows, int64 (q, N), as a ranking without distances; for measures that break ties by order."""
    none = np.zeros(len(rows), np.int64)
    return Ranking(rows, np.zeros(rows.shape, np.float32), none, none)


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
    for rule, ideal in sums.ideal().items():
        values[graded_name(rule)] = floors.random_ndcg(sums.mean_gain[rule], ideal, candidates, TOP)
    return values


def query_free(sums: GallerySums, judge: Judge, cutoffs: Sequence[int], results: int) -> tuple[PerQuery, Ranking]:
    """Return the measures of the query-free order of each rule, and the ranking of that of ``any``."""

    def top(rule: str, n: int) -> Ranking:
        return listed(floors.query_free_rows(floors.query_free_order(sums.total_gain[rule]), judge.truth.exclude, n))

    first = top("any", results)
    values = measured(label_names(cutoffs, results), first, judge)
    for rule in sums.totals:
        if rule != "any":
            values |= measured([graded_name(rule)], top(rule, TOP), judge)
    return values, first
