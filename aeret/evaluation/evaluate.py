"""Evaluate a search: clusters, rankings, measures, floors and their statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering, fit_kmeans
from aeret.evaluation import floors, layouts, run_tables, tables, waterfall
from aeret.evaluation.clusters import cluster_quality
from aeret.evaluation.conventions import conventions
from aeret.evaluation.gallery_pass import GallerySums, gallery_sums
from aeret.evaluation.measures import (
    AP,
    CLASS_AP,
    CLASS_P,
    CURVE,
    TOP,
    PerQuery,
    graded_name,
    label_names,
    measured,
    query_free,
    random_floors,
)
from aeret.evaluation.metrics import FixedOrder, Orders, WholeGallery
from aeret.evaluation.query_by_layout import LayoutCodes
from aeret.evaluation.result import Evaluation
from aeret.evaluation.searches import EXHAUSTIVE, SEQUENTIAL, search_all
from aeret.evaluation.task import CheckedTask, EvaluationTask, PhotoSet, check_task
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking

__all__ = ["Evaluation", "EvaluationTask", "LayoutCodes", "PhotoSet", "evaluate"]


@dataclass(frozen=True)
class _Measured:
    """What the searches of a task found, measured."""

    rankings: Mapping[str, Ranking]
    sums: GallerySums
    walks: Mapping[str, PerQuery]
    """Measures of whole-gallery orders, by search."""
    methods: Mapping[str, PerQuery]
    random: PerQuery
    free: PerQuery
    macro: Mapping[str, PerQuery]
    macro_random: PerQuery
    macro_free: PerQuery


def evaluate(task: EvaluationTask, progress: Progress = silent, keep: Path | None = None) -> Evaluation:
    """Cluster the gallery, search it in three ways and measure the results.

    Args:
        task: photos, settings and codes.
        progress: shows the work.
        keep: folder of the clusters, which a killed evaluation starts from; nothing is kept without it.

    Raises:
        UsageError: the parts do not fit together, or the gallery is too small for the clusters.
        RunError: the machine has less memory than the evaluation needs.

    Example:
        >>> evaluate(EvaluationTask(photos, photos, names, settings, seed=0, leave_one_out=True))  # doctest: +SKIP
    """
    checked = check_task(task)
    clustering = _clusters(checked, progress, keep)
    rankings, seconds = search_all(
        checked.queries, checked.gallery, clustering, checked.truth.exclude, task.settings.results,
        checked.lead, task.threads, progress,
    )  # fmt: skip
    found = _measure(checked, clustering, rankings, progress)
    own = {name: (rankings[name], seconds[name]) for name in (EXHAUSTIVE, checked.lead)}
    steps = waterfall.waterfall_steps(
        own, checked.queries, checked.gallery, checked.truth.exclude, task.seed, task.threads, progress
    )
    return Evaluation(
        **_measure_tables(checked, clustering, found),
        **_waterfall_tables(checked, found, steps),
        **_layout_tables(checked, clustering, found),
        facts=_facts(checked, clustering),
        conventions=conventions(task.settings, task.leave_one_out, int(found.sums.candidates.min())),
        clusters=run_tables.cluster_facts(clustering, checked.gallery)
        | cluster_quality(
            checked.gallery, clustering.assignment, task.gallery.labels, task.seed, threads=task.threads
        ).to_dict(),
        rankings=rankings,
        assignment=clustering.assignment,
        gallery_ids=task.gallery.ids,
    )


def _clusters(task: CheckedTask, progress: Progress, keep: Path | None) -> Clustering:
    if task.asked.clustering is not None:
        return task.asked.clustering
    if keep is not None and Clustering.is_in(keep):
        return Clustering.open(keep)
    section = task.asked.settings
    clustering = fit_kmeans(
        task.gallery,
        section.clusters,
        task.asked.seed,
        section.starts,
        section.iterations,
        progress,
        threads=task.asked.threads,
    )
    if keep is not None:
        clustering.save(keep)
    return clustering


def _facts(task: CheckedTask, clustering: Clustering) -> dict[str, Any]:
    queries, gallery, settings = task.asked.queries, task.asked.gallery, task.asked.settings
    return {
        "n_queries": len(queries.ids),
        "n_gallery": len(gallery.ids),
        "leave_one_out": task.asked.leave_one_out,
        "clusters": len(clustering.centroids),
        "categories": len(task.asked.categories),
        "embedding_size": gallery.vectors.shape[1],
        "similarity": settings.similarity,
        "lead": task.lead,
        "results": min(settings.results, len(gallery.ids) - int(task.asked.leave_one_out)),
        "cutoffs": list(settings.cutoffs),
        "resamples": settings.resamples,
        "resample_fraction": settings.resample_fraction,
        "starts": settings.starts,
        "seed": task.asked.seed,
        "mask_size": queries.masks.size if queries.masks is not None else None,
        "subsets": {name: int(flags.sum()) for name, flags in queries.subsets.items()},
        "memory_estimate_bytes": task.memory,
    }


def _measure(
    task: CheckedTask, clustering: Clustering, rankings: Mapping[str, Ranking], progress: Progress
) -> _Measured:
    sums = gallery_sums(task.judge, task.rules, TOP, progress)
    walks = _walks(task, clustering, floors.query_free_order(sums.total_gain["any"]), progress)
    free, free_ranking = query_free(sums, task.judge, task.cutoffs, task.asked.settings.results)
    free[AP] = walks["query-free"][AP]
    return _Measured(
        rankings,
        sums,
        walks,
        methods={name: _per_query(task, ranking, walks.get(name)) for name, ranking in rankings.items()},
        random=random_floors(sums, task.cutoffs, task.asked.settings.results),
        free=free,
        macro={name: _per_class(task, ranking, walks.get(name)) for name, ranking in rankings.items()},
        macro_random=_random_per_class(task, sums.candidates),
        macro_free=_per_class(task, free_ranking, walks["query-free"]),
    )


def _walks(
    task: CheckedTask, clustering: Clustering, fixed: NDArray[np.int32], progress: Progress
) -> dict[str, PerQuery]:
    """Return the measures that need whole-gallery orders, by search."""
    orders: dict[str, tuple[tuple[str, ...], Orders]] = {
        EXHAUSTIVE: ((AP, CLASS_AP, CURVE), WholeGallery(task.queries, task.gallery)),
        SEQUENTIAL: ((AP, CLASS_AP), WholeGallery(task.queries, task.gallery, clustering)),
        "query-free": ((AP, CLASS_AP, CURVE), FixedOrder(fixed, len(task.queries))),
    }
    return {name: measured(names, order, task.judge, progress) for name, (names, order) in orders.items()}


def _per_query(task: CheckedTask, ranking: Ranking, walk: PerQuery | None) -> PerQuery:
    labels = label_names(task.cutoffs, task.asked.settings.results)
    graded = [graded_name(rule) for rule in task.rules if rule != "any"]
    values = measured([*labels, *graded], ranking, task.judge)
    found = {name: values[name] for name in labels}
    if walk is not None:
        found[AP] = walk[AP]
    return found | values


def _per_class(task: CheckedTask, ranking: Ranking, walk: PerQuery | None) -> PerQuery:
    values = measured([CLASS_P], ranking, task.judge)
    if walk is not None:
        values[CLASS_AP] = walk[CLASS_AP]
    return values


def _random_per_class(task: CheckedTask, candidates: NDArray[np.int64]) -> PerQuery:
    held = task.judge.held
    known = task.truth.query_labels & (held > 0)
    hits = floors.random_hits(held, candidates[:, None], TOP) / TOP
    average = floors.random_average_precision(held, candidates[:, None])
    return {CLASS_P: np.where(known, hits, np.nan), CLASS_AP: np.where(known, average, np.nan)}


def _measure_tables(task: CheckedTask, clustering: Clustering, found: _Measured) -> dict[str, Any]:
    settings, seed = task.asked.settings, task.asked.seed
    lead = found.macro[task.lead]
    return {
        "measures": pd.concat(
            [
                tables.measures_table(found.methods, found.random, found.free, seed),
                tables.macro_table(found.macro, found.macro_random, found.macro_free, (CLASS_P, CLASS_AP), seed),
            ],
            ignore_index=True,
        ),
        "cutoffs": tables.cutoffs_table(
            found.methods, found.random, found.free, settings.cutoffs, settings.resamples, settings.resample_fraction,
            seed,
        ),
        "pairs": tables.pairs_table(task.asked.gallery.labels, clustering.assignment, seed),
        "search": run_tables.search_table(found.rankings, len(task.gallery)),
        "pr_curve": run_tables.curve_table(found.walks, found.sums),
        "per_class": tables.class_table(
            task.asked.categories,
            task.truth.query_labels,
            task.truth.gallery_labels,
            (lead[CLASS_P], lead.get(CLASS_AP, found.macro[EXHAUSTIVE][CLASS_AP])),
            (found.macro_random[CLASS_P], found.macro_random[CLASS_AP]),
        ),
    }  # fmt: skip


def _waterfall_tables(task: CheckedTask, found: _Measured, steps: list[waterfall.Step]) -> dict[str, Any]:
    values = [found.methods.get(step.name) or _per_query(task, step.ranking, None) for step in steps]
    shares = {step.name: _per_class(task, step.ranking, None)[CLASS_P] for step in steps}
    names = (graded_name("layout"), graded_name("jaccard"), f"P(rel=any)@{TOP}")
    shown = [name for name in names if name in found.free]
    return {
        "waterfall": waterfall.waterfall_table(steps, values, shown, task.asked.seed),
        "class_losses": waterfall.class_losses(steps, shares, task.asked.categories),
        "spill": waterfall.spill_table(found.rankings[SEQUENTIAL]),
        "timings": waterfall.milliseconds(steps),
    }


def _layout_tables(task: CheckedTask, clustering: Clustering, found: _Measured) -> dict[str, Any]:
    """Return the tables of query by layout and of subsets, and the values of single queries."""
    queries, codes = task.asked.queries, task.asked.codes
    subsets, subset_columns = _layout_subsets(task, clustering, found)
    by_layout, ranks = tables.table((), layouts.QUERY_COLUMNS), np.zeros(0, np.int32)
    if codes is not None:
        with_mask = np.ones(len(queries.ids), bool) if queries.masks is None else np.diff(queries.masks.offsets) > 0
        by_layout, ranks = layouts.query_by_layout(
            codes, with_mask, queries.subsets, task.asked.settings.layout_similarity, task.asked.seed
        )
    columns: dict[str, NDArray[Any]] = {"photo_id": queries.ids, **found.methods[task.lead], **subset_columns}
    # The exhaustive values show what the embedding itself can do, apart from what the clusters lose of it.
    for rule in task.rules:
        if rule != "any":
            columns[graded_name(rule, search=EXHAUSTIVE)] = found.methods[EXHAUSTIVE][graded_name(rule)]
    columns |= layouts.layout_columns(ranks) if codes is not None else {}
    columns |= {f"subset:{name}": flags for name, flags in queries.subsets.items()}
    return {
        "per_query": pd.DataFrame(columns),
        "query_by_layout": by_layout,
        "layout_subsets": subsets,
        "layout_ranks": ranks,
    }


def _layout_subsets(task: CheckedTask, clustering: Clustering, found: _Measured) -> tuple[pd.DataFrame, PerQuery]:
    """Return the table of layout figures and the lead method's per-query columns of each subset gallery."""
    rows: list[dict[str, Any]] = []
    columns: PerQuery = {}
    if "layout" not in task.rules:
        return tables.table(rows, layouts.SUBSET_COLUMNS), columns
    queries, gallery, seed = task.asked.queries, task.asked.gallery, task.asked.seed
    shown = {name: found.methods[name][layouts.LAYOUT] for name in (task.lead, EXHAUSTIVE)}
    for name, flags in {"all": np.ones(len(queries.ids), bool), **queries.subsets}.items():
        if flags.any():
            part = {method: values[flags] for method, values in shown.items()}
            floor = found.random[layouts.LAYOUT][flags], found.free[layouts.LAYOUT][flags]
            rows += layouts.subset_rows(name, "all", part, *floor, seed)
        inside = gallery.subsets.get(name)
        if inside is not None and flags.any() and inside.sum() > TOP:
            cut = layouts.restrict(task.truth, task.queries, task.gallery, clustering, flags, inside)
            values, *floors_inside = layouts.subset_measures(cut, task.asked.settings.order, task.asked.threads)
            rows += layouts.subset_rows(name, name, values, floors_inside[0], floors_inside[1], seed)
            column = np.full(len(flags), np.nan)
            column[flags] = values[task.lead]
            columns[graded_name("layout", name)] = column
    return tables.table(rows, layouts.SUBSET_COLUMNS), columns
