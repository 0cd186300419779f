"""Evaluate a search: clusters, rankings, measures, floors and their statistics."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from aeret.clustering.kmeans import Clustering, fit_kmeans
from aeret.evaluation import layouts, tables, waterfall
from aeret.evaluation.clusters import cluster_quality
from aeret.evaluation.conventions import conventions
from aeret.evaluation.measures import (
    AP,
    CLASS_AP,
    CLASS_P,
    CURVE,
    MethodValues,
    PerQuery,
    graded_name,
    measured,
    method_values,
    query_free_order,
    query_free_values,
    random_values,
)
from aeret.evaluation.memory import demand_memory
from aeret.evaluation.metrics import FixedOrder, WholeGallery
from aeret.evaluation.query_by_layout import LayoutCodes
from aeret.evaluation.result import Evaluation
from aeret.evaluation.searches import EXHAUSTIVE, SEQUENTIAL, search_all
from aeret.evaluation.task import TOP, EvaluationOptions, EvaluationTask, PhotoSet, checked_task

__all__ = ["Evaluation", "EvaluationOptions", "LayoutCodes", "PhotoSet", "evaluate"]

_QUERY_FREE = "query-free"
_log = logging.getLogger(__name__)


def evaluate(
    queries: PhotoSet,
    gallery: PhotoSet,
    categories: Sequence[str],
    options: EvaluationOptions,
    *,
    codes: LayoutCodes | None = None,
    clustering: Clustering | Path | None = None,
) -> Evaluation:
    """Cluster the gallery, search it in three ways and measure the results.

    The peak of memory is estimated and logged before the work starts.

    Args:
        queries: photos to search for.
        gallery: photos that are searched; the same object if they are the queries.
        categories: names of the label columns.
        options: settings, seed and threads.
        codes: mask codes of the query photos, own and predicted; None for a model without a latent head.
        clustering: of the gallery; or a folder that keeps it: opened if it is there, otherwise fitted and saved.

    Raises:
        UsageError: the parts do not fit each other, or the gallery is too small for the clusters asked for.
        RunError: the machine has less memory than the evaluation needs.

    Example:
        >>> found = evaluate(photos, photos, names, EvaluationOptions(settings, 0, True))  # doctest: +SKIP
        >>> found.value("nDCG(rel=layout)@10")  # doctest: +SKIP
    """
    task = checked_task(queries, gallery, categories, options, codes)
    estimate, counts = task.estimate_bytes(), (len(queries.ids), len(gallery.ids))
    _log.info("%d queries in %d photos: about %.2f GiB of memory at the peak", *counts, estimate / 2**30)
    demand_memory(estimate)
    if not isinstance(clustering, Clustering):
        clustering = _clustered(task, clustering)
    own, threads, progress = task.exclude, options.threads, options.progress
    rankings, seconds = search_all(
        task.query_vectors, task.gallery_vectors, clustering, own, options.settings.results, task.lead, threads,
        progress,
    )  # fmt: skip
    for rule in ("any", *task.graded):
        task.judge.totals(rule, TOP if rule in task.graded else 0, progress)
    whole = _whole_orders(task, clustering)
    methods = {name: method_values(ranking, task, whole.get(name)) for name, ranking in rankings.items()}
    bounds = tables.Floors(random_values(task), query_free_values(task, whole[_QUERY_FREE]))
    steps = waterfall.waterfall_steps(
        {name: (rankings[name], seconds[name]) for name in (EXHAUSTIVE, task.lead)},
        task.query_vectors, task.gallery_vectors, own, options.seed, threads, progress,
    )  # fmt: skip
    values = [methods.get(step.name) or method_values(step.ranking, task) for step in steps]
    layout = layouts.layout_figures(task, clustering, methods, bounds)
    return Evaluation(
        facts=_facts(task, clustering, estimate),
        conventions=conventions(options.settings, options.leave_one_out, int(task.judge.candidates.min())),
        **_measure_frames(task, methods, bounds),
        **_cluster_frames(task, clustering),
        **_waterfall_frames(task, steps, values),
        search=tables.search_table(rankings, len(gallery.ids)),
        pr_curve=tables.curve_table(whole[EXHAUSTIVE][CURVE], whole[_QUERY_FREE][CURVE], task.judge),
        per_query=_per_query(task, methods, layout),
        query_by_layout=layout.query_by_layout,
        layout_subsets=layout.subsets,
        layout_ranks=layout.ranks,
        spill=waterfall.spill_table(rankings[SEQUENTIAL]),
        rankings=rankings,
        assignment=clustering.assignment,
        gallery_ids=gallery.ids,
    )


def _clustered(task: EvaluationTask, folder: Path | None) -> Clustering:
    if folder is not None and Clustering.is_in(folder):
        return Clustering.open(folder)
    options, settings = task.options, task.options.settings
    found = fit_kmeans(
        task.gallery_vectors, settings.clusters, options.seed, settings.starts, settings.iterations, options.progress,
        threads=options.threads,
    )  # fmt: skip
    if folder is not None:
        found.save(folder)
    return found


def _whole_orders(task: EvaluationTask, clustering: Clustering) -> dict[str, PerQuery]:
    """Return the measures over orders of the whole gallery: of two searches and of the query-free order."""
    asked, searched, progress = task.query_vectors, task.gallery_vectors, task.options.progress
    fixed = FixedOrder(query_free_order(task.judge, "any"), len(asked))
    return {
        EXHAUSTIVE: measured((AP, CLASS_AP, CURVE), WholeGallery(asked, searched), task.judge, progress),
        SEQUENTIAL: measured((AP, CLASS_AP), WholeGallery(asked, searched, clustering), task.judge, progress),
        _QUERY_FREE: measured((AP, CLASS_AP, CURVE), fixed, task.judge, progress),
    }


def _facts(task: EvaluationTask, clustering: Clustering, estimate: int) -> dict[str, Any]:
    options, settings, masks = task.options, task.options.settings, task.queries.masks
    return {
        "n_queries": len(task.queries.ids),
        "n_gallery": len(task.gallery.ids),
        "leave_one_out": options.leave_one_out,
        "clusters": len(clustering.centroids),
        "categories": len(task.categories),
        "embedding_size": task.gallery_vectors.shape[1],
        "similarity": settings.similarity,
        "lead": task.lead,
        "results": min(settings.results, len(task.gallery.ids) - int(options.leave_one_out)),
        "cutoffs": list(settings.cutoffs),
        "resamples": settings.resamples,
        "resample_fraction": settings.resample_fraction,
        "starts": settings.starts,
        "seed": options.seed,
        "mask_size": None if masks is None else masks.size,
        "subsets": {name: int(flags.sum()) for name, flags in task.queries.subsets.items()},
        "memory_estimate_bytes": estimate,
    }


def _measure_frames(task: EvaluationTask, methods: Mapping[str, MethodValues], bounds: tables.Floors) -> dict[str, Any]:
    seed, settings = task.options.seed, task.options.settings
    lead = methods[task.lead].per_class
    # Pooled search has no order of the whole gallery.
    average = lead if CLASS_AP in lead else methods[EXHAUSTIVE].per_class
    per_class = {CLASS_P: lead[CLASS_P], CLASS_AP: average[CLASS_AP]}
    whole = [tables.measures_table(methods, bounds, seed), tables.macro_table(methods, bounds, seed)]
    return {
        "measures": pd.concat(whole, ignore_index=True),
        "cutoffs": tables.cutoffs_table(methods, bounds, settings, seed),
        "per_class": tables.class_table(task.categories, task.judge.truth, per_class, bounds.random.per_class),
    }


def _cluster_frames(task: EvaluationTask, clustering: Clustering) -> dict[str, Any]:
    vectors, labels, seed = task.gallery_vectors, task.gallery.labels, task.options.seed
    quality = cluster_quality(vectors, clustering.assignment, labels, seed, threads=task.options.threads)
    return {
        "pairs": tables.pairs_table(labels, clustering.assignment, seed),
        "clusters": tables.cluster_facts(clustering, vectors) | quality.to_dict(),
    }


def _waterfall_frames(
    task: EvaluationTask, steps: Sequence[waterfall.Step], values: Sequence[MethodValues]
) -> dict[str, Any]:
    graded = [graded_name(rule) for rule in ("layout", "jaccard") if rule in task.graded]
    shares = {step.name: each.per_class[CLASS_P] for step, each in zip(steps, values, strict=True)}
    per_query = [each.per_query for each in values]
    return {
        "waterfall": waterfall.waterfall_table(steps, per_query, [*graded, f"P(rel=any)@{TOP}"], task.options.seed),
        "class_losses": waterfall.class_losses(steps, shares, task.categories),
        "timings": waterfall.milliseconds(steps),
    }


def _per_query(
    task: EvaluationTask, methods: Mapping[str, MethodValues], layout: layouts.LayoutFigures
) -> pd.DataFrame:
    exhaustive = methods[EXHAUSTIVE].per_query
    # Exhaustive search tells what the embedding itself can do, apart from what the clusters lose of it.
    exact = {graded_name(rule, search=EXHAUSTIVE): exhaustive[graded_name(rule)] for rule in task.graded}
    flags = {f"subset:{name}": flags for name, flags in task.queries.subsets.items()}
    found = methods[task.lead].per_query | layout.subset_columns | exact | layout.rank_columns
    return pd.DataFrame({"photo_id": task.queries.ids, **found, **flags})
