"""Compute the measures that an evaluation reports, and their floors under the same names.

:data:`aeret.evaluation.metrics.METRICS` says what a name such as ``nDCG(rel=jaccard)@10`` means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
"""Measure to values of the queries, float64 (q,), or of queries and classes, float64 (q, c)."""


@dataclass(frozen=True)
class MethodValues:
    """Values of one search, or of one floor, by measure."""

    per_query: PerQuery
    per_class: PerQuery
    """NaN if the query does not have the class."""


@dataclass(frozen=True)
class MeasuredTask:
    """Say what is measured, and against which truth."""

    judge: Judge
    graded: tuple[str, ...]
    """Graded rules."""
    cutoffs: tuple[int, ...]
    """Of P, R and F."""
    results: int
    """Cut-off of average precision."""


def graded_name(rule: str, gallery: str = "", search: str = "") -> str:
    """Return the name of nDCG by a graded rule.

    Args:
        rule: of relevance.
        gallery: the subset that was searched, if not the whole gallery.
        search: the search, if not the leading one.
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
    """Return rows, int64 (q, N), as a ranking that ties nothing apart from their order."""
    none = np.zeros(len(rows), np.int64)
    return Ranking(rows, np.zeros(rows.shape, np.float32), none, none)


def method_values(ranking: Ranking, task: MeasuredTask, whole: PerQuery | None = None) -> MethodValues:
    """Measure one ranking.

    Args:
        ranking: N results per query.
        task: what is measured.
        whole: AP and AP by class over the search's order of the whole gallery; None if it has none.
    """
    labels, graded = label_names(task.cutoffs, task.results), [graded_name(rule) for rule in task.graded]
    found = measured([*labels, *graded, CLASS_P], ranking, task.judge)
    per_query, per_class = {name: found[name] for name in labels}, {CLASS_P: found[CLASS_P]}
    if whole is not None:
        per_query[AP], per_class[CLASS_AP] = whole[AP], whole[CLASS_AP]
    return MethodValues(per_query | {name: found[name] for name in graded}, per_class)


def random_floors(sums: GallerySums, cutoffs: Sequence[int], results: int) -> PerQuery:
    """Return the exact expectation of every measure over all orders of the gallery."""
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


def random_values(sums: GallerySums, task: MeasuredTask) -> MethodValues:
    """Return the random floors, those by class too."""
    truth, held, candidates = task.judge.truth, task.judge.held, sums.candidates[:, None]
    known = truth.query_labels & (held > 0)
    by_class = {
        CLASS_P: floors.random_hits(held, candidates, TOP) / TOP,
        CLASS_AP: floors.random_average_precision(held, candidates),
    }
    per_class = {name: np.where(known, values, np.nan) for name, values in by_class.items()}
    return MethodValues(random_floors(sums, task.cutoffs, task.results), per_class)


def query_free_values(sums: GallerySums, task: MeasuredTask, whole: PerQuery) -> MethodValues:
    """Return the query-free floors: graded measures over the order of their own rule, all others over that of ``any``.

    Args:
        sums: relevance of the whole gallery.
        task: what is measured.
        whole: AP and AP by class over the query-free order of the whole gallery.
    """
    own = task.judge.truth.exclude
    order = {rule: floors.query_free_order(gain) for rule, gain in sums.total_gain.items()}
    found = method_values(listed(floors.query_free_rows(order["any"], own, task.results)), task, whole)
    for rule in task.graded:
        rows = floors.query_free_rows(order[rule], own, TOP)
        found.per_query.update(measured([graded_name(rule)], listed(rows), task.judge))
    return found
