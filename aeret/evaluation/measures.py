"""Compute the measures that an evaluation reports, and their floors under the same names.

:data:`aeret.evaluation.metrics.METRICS` says what a name such as ``nDCG(rel=jaccard)@10`` means.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.evaluation import floors
from aeret.evaluation.metrics import Judge, Orders, measure
from aeret.evaluation.metrics.ndcg import discounted
from aeret.evaluation.metrics.ranked import Values
from aeret.evaluation.task import TOP, EvaluationTask
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking

AP = "AP(rel=any)"
CLASS_P, CLASS_AP = f"P(rel=any,average=class)@{TOP}", "AP(rel=any,average=class)"
CURVE = "PR(rel=any)"

PerQuery = dict[str, Values]
"""Measure to values of the queries, float64 (q,), or of queries and classes, float64 (q, c)."""


@dataclass(frozen=True)
class MethodValues:
    """Values of one search, or of one floor, by measure."""

    per_query: PerQuery
    per_class: PerQuery
    """NaN if the query does not have the class."""


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


def method_values(ranking: Ranking, task: EvaluationTask, whole: PerQuery | None = None) -> MethodValues:
    """Measure one ranking.

    Args:
        ranking: N results per query.
        task: what is measured, and against which truth.
        whole: AP and AP by class over the search's order of the whole gallery; None if it has none.
    """
    labels = label_names(task.cutoffs, task.options.settings.results)
    graded = [graded_name(rule) for rule in task.graded]
    found = measured([*labels, *graded, CLASS_P], ranking, task.judge)
    per_query, per_class = {name: found[name] for name in labels}, {CLASS_P: found[CLASS_P]}
    if whole is not None:
        per_query[AP], per_class[CLASS_AP] = whole[AP], whole[CLASS_AP]
    return MethodValues(per_query | {name: found[name] for name in graded}, per_class)


def random_floors(judge: Judge, graded: Sequence[str], cutoffs: Sequence[int], results: int) -> PerQuery:
    """Return the exact expectation of every measure over all orders of the gallery."""
    relevant, candidates = judge.totals("any").relevant, judge.candidates
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
    return values | {graded_name(rule): random_ndcg(judge, rule) for rule in graded}


def random_ndcg(judge: Judge, rule: str) -> Values:
    """Return the expectation of nDCG@10 by a graded rule over all orders of the gallery, float64 (q,)."""
    totals = judge.totals(rule, TOP)
    ideal = discounted(totals.ideal[:, :TOP].astype(np.float64), np.array([TOP]))[:, 0]
    return floors.random_ndcg(totals.mean_gain, ideal, judge.candidates, TOP)


def random_values(task: EvaluationTask) -> MethodValues:
    """Return the random floors, those by class too."""
    judge = task.judge
    held, candidates = judge.held, judge.candidates[:, None]
    known = judge.truth.query_labels & (held > 0)
    by_class = {
        CLASS_P: floors.random_hits(held, candidates, TOP) / TOP,
        CLASS_AP: floors.random_average_precision(held, candidates),
    }
    per_class = {name: np.where(known, values, np.nan) for name, values in by_class.items()}
    return MethodValues(random_floors(judge, task.graded, task.cutoffs, task.options.settings.results), per_class)


def query_free_order(judge: Judge, rule: str) -> NDArray[np.int32]:
    """Return the gallery by falling total gain over the queries, int32 (g,)."""
    return floors.query_free_order(judge.totals(rule).total_gain)


def query_free_ranking(judge: Judge, rule: str, n: int) -> Ranking:
    """Return the first ``n`` photos of the query-free order for every query, without the query itself.

    The ranking has no distances: only measures that break ties by order may look at it.
    """
    rows = floors.query_free_rows(query_free_order(judge, rule), judge.truth.exclude, n)
    none = np.zeros(len(rows), np.int64)
    return Ranking(rows, np.zeros(rows.shape, np.float32), none, none)


def query_free_values(task: EvaluationTask, whole: PerQuery) -> MethodValues:
    """Return the query-free floors: graded measures over the order of their own rule, all others over that of ``any``.

    Args:
        task: what is measured, and against which truth.
        whole: AP and AP by class over the query-free order of the whole gallery.
    """
    judge = task.judge
    found = method_values(query_free_ranking(judge, "any", task.options.settings.results), task, whole)
    for rule in task.graded:
        found.per_query.update(measured([graded_name(rule)], query_free_ranking(judge, rule, TOP), judge))
    return found
