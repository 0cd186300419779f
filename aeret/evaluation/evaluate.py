"""Evaluate a search: clusters, rankings, measures, floors and their statistics, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering, fit_kmeans
from aeret.data.masks import MaskPlanes
from aeret.embeddings.distances import Vectors, checked, nearest
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError
from aeret.evaluation import floors, layouts, tables, waterfall
from aeret.evaluation.clusters import cluster_quality
from aeret.evaluation.conventions import conventions
from aeret.evaluation.gallery_pass import GallerySums, gallery_sums
from aeret.evaluation.measures import (
    AP,
    CLASS_AP,
    CLASS_P,
    CURVE,
    GRADED,
    TOP,
    PerQuery,
    graded_name,
    label_names,
    measured,
    query_free,
    random_floors,
)
from aeret.evaluation.memory import available_bytes, estimate_bytes, refuse_beyond
from aeret.evaluation.metrics import FixedOrder, Judge, Orders, WholeGallery
from aeret.evaluation.metrics.curve import LEVELS
from aeret.evaluation.query_by_layout import LayoutCodes
from aeret.evaluation.relevance import Truth
from aeret.evaluation.result import Evaluation
from aeret.evaluation.searches import EXHAUSTIVE, SEQUENTIAL, search_all
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking
from aeret.settings.sections import ClusterSettings

__all__ = ["Evaluation", "LayoutCodes", "PhotoSet", "evaluate"]

_EXAMPLES = 12


@dataclass(frozen=True)
class PhotoSet:
    """Photos with their embeddings and what is true of them, a row each."""

    ids: NDArray[np.int64]
    """Photo ids, int64 (n,)."""
    vectors: NDArray[np.float32]
    """Embeddings, float32 (n, d)."""
    labels: NDArray[np.bool_]
    """bool (n, c)."""
    masks: MaskPlanes | None = None
    subsets: Mapping[str, NDArray[np.bool_]] = field(default_factory=lambda: MappingProxyType({}))
    """Name to photos, bool (n,)."""


@dataclass(frozen=True)
class _Task:
    """A checked evaluation task."""

    queries: PhotoSet
    gallery: PhotoSet
    query_vectors: Vectors
    gallery_vectors: Vectors
    truth: Truth
    judge: Judge
    rules: tuple[str, ...]
    cutoffs: tuple[int, ...]
    settings: ClusterSettings
    seed: int
    threads: int
    progress: Progress

    @property
    def lead(self) -> str:
        return f"cluster-first {self.settings.order}"


def evaluate(
    queries: PhotoSet,
    gallery: PhotoSet,
    categories: Sequence[str],
    settings: ClusterSettings,
    seed: int,
    *,
    leave_one_out: bool,
    codes: LayoutCodes | None = None,
    clustering: Clustering | None = None,
    threads: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Cluster the gallery, search it in three ways and measure what is found.

    Args:
        queries: photos that ask.
        gallery: photos that are searched.
        categories: names of the label columns.
        settings: the section ``evaluation``.
        seed: the run's seed.
        leave_one_out: the queries are part of the gallery, found there by photo id; a query never finds itself.
        codes: mask codes of the query photos, own and predicted; None for a model without a latent head.
        clustering: of the gallery; fitted here unless given.
        threads: 0 means one per core; never changes a number.
        progress: shows what is going on.

    Raises:
        UsageError: the parts do not fit each other, or the gallery is too small for the clusters asked for.
        RunError: the machine has less memory than the evaluation needs.
    """
    task = _checked(queries, gallery, categories, settings, seed, leave_one_out, codes, threads, progress)
    own_masks = (queries.masks,) if queries.masks is gallery.masks else (queries.masks, gallery.masks)
    planes = sum(0 if masks is None else masks.bits.nbytes for masks in own_masks)
    shape = (len(queries.ids), len(gallery.ids), gallery.vectors.shape[1], len(categories), planes, settings.results)
    estimate = estimate_bytes(*shape, threads)
    refuse_beyond(estimate, available_bytes())
    if clustering is None:
        clustering = fit_kmeans(
            task.gallery_vectors,
            settings.clusters,
            seed,
            settings.starts,
            settings.iterations,
            progress,
            threads=threads,
        )
    facts = {
        "n_queries": len(queries.ids),
        "n_gallery": len(gallery.ids),
        "leave_one_out": leave_one_out,
        "clusters": len(clustering.centroids),
        "categories": len(categories),
        "embedding_size": gallery.vectors.shape[1],
        "similarity": settings.similarity,
        "lead": task.lead,
        "results": min(settings.results, len(gallery.ids) - int(leave_one_out)),
        "cutoffs": list(settings.cutoffs),
        "resamples": settings.resamples,
        "resample_fraction": settings.resample_fraction,
        "starts": settings.starts,
        "seed": seed,
        "mask_size": queries.masks.size if queries.masks is not None else None,
        "subsets": {name: int(flags.sum()) for name, flags in queries.subsets.items()},
        "memory_estimate_bytes": estimate,
    }
    return _evaluate(task, clustering, categories, codes, facts)


def _checked(
    queries: PhotoSet,
    gallery: PhotoSet,
    categories: Sequence[str],
    settings: ClusterSettings,
    seed: int,
    leave_one_out: bool,
    codes: LayoutCodes | None,
    threads: int,
    progress: Progress,
) -> _Task:
    for name, photos in (("queries", queries), ("gallery", gallery)):
        parts = {"vectors": len(photos.vectors), "labels": len(photos.labels)}
        parts |= {f"subset {subset}": len(flags) for subset, flags in photos.subsets.items()}
        if photos.masks is not None:
            parts["masks"] = len(photos.masks)
        for part, count in parts.items():
            if count != len(photos.ids):
                raise UsageError(f"The {name} have {len(photos.ids)} photos but {count} rows of {part}.")
        if photos.labels.shape[1] != len(categories):
            given = photos.labels.shape[1]
            raise UsageError(f"The {name} are labelled with {given} categories; {len(categories)} names were given.")
        if len(np.unique(photos.ids)) != len(photos.ids):
            raise UsageError(f"The {name} hold a photo id twice; every photo may be there once.")
    if not len(queries.ids) or len(gallery.ids) < 2:
        counts = f"{len(queries.ids)} queries and {len(gallery.ids)} gallery photos"
        raise UsageError(f"An evaluation needs at least one query and two gallery photos; got {counts}.")
    if codes is not None and len(codes.own) != len(queries.ids):
        raise UsageError(f"There are codes of {len(codes.own)} photos for {len(queries.ids)} queries.")
    exclude = _rows_of(queries.ids, gallery.ids) if leave_one_out else np.full(len(queries.ids), -1, np.int64)
    truth = Truth(queries.labels, gallery.labels, exclude, queries.masks, gallery.masks)
    masked = queries.masks is not None and gallery.masks is not None
    judge = Judge(truth)
    rules = tuple(name for name in ("any", *GRADED) if name != "layout" or masked)
    for name in rules:
        judge.rule(name)  # says now what does not fit
    asked, searched = queries.vectors, gallery.vectors
    # Checked before anything is computed, so that a diverged model is named and not averaged.
    searched = checked(searched, "Gallery embeddings")
    asked = searched if queries.vectors is gallery.vectors else checked(asked, "Query embeddings", searched.shape[1])
    if settings.similarity == "cosine":
        same = asked is searched
        searched = l2_normalise(searched)
        asked = searched if same else l2_normalise(asked)
    cutoffs = tuple(sorted({1, *settings.cutoffs, TOP}))  # top-1 and top-10 are always there
    return _Task(queries, gallery, asked, searched, truth, judge, rules, cutoffs, settings, seed, threads, progress)


def _rows_of(ids: NDArray[np.int64], gallery_ids: NDArray[np.int64]) -> NDArray[np.int64]:
    order = np.argsort(gallery_ids, kind="stable")
    places = np.searchsorted(gallery_ids[order], ids).clip(max=len(gallery_ids) - 1)
    rows = order[places]
    missing = np.flatnonzero(gallery_ids[rows] != ids)
    if len(missing):
        raise UsageError(
            f"Leave-one-out needs every query in the gallery; {len(missing)} are not, the first is photo "
            f"{ids[missing[0]]}."
        )
    return np.asarray(rows, np.int64)


def _evaluate(
    task: _Task, clustering: Clustering, categories: Sequence[str], codes: LayoutCodes | None, facts: dict[str, Any]
) -> Evaluation:
    rankings, seconds = search_all(
        task.query_vectors, task.gallery_vectors, clustering, task.truth.exclude, task.settings.results,
        task.lead, task.threads, task.progress,
    )  # fmt: skip
    sums = gallery_sums(task.judge, task.rules, TOP, task.progress)
    fixed = floors.query_free_order(sums.total_gain["any"])
    walks = _walks(task, clustering, fixed)
    methods = {name: _per_query(task, ranking, walks.get(name)) for name, ranking in rankings.items()}
    random = random_floors(sums, task.cutoffs, task.settings.results)
    free, free_ranking = query_free(sums, task.judge, task.cutoffs, task.settings.results)
    free[AP] = walks["query-free"][AP]

    macro = {name: _per_class(task, ranking, walks.get(name)) for name, ranking in rankings.items()}
    macro_free = _per_class(task, free_ranking, walks["query-free"])
    macro_random = _random_per_class(task.truth, task.judge.held, sums.candidates)
    measures = pd.concat(
        [
            tables.measures_table(methods, random, free, task.seed),
            tables.macro_table(macro, macro_random, macro_free, (CLASS_P, CLASS_AP), task.seed),
        ],
        ignore_index=True,
    )
    own = {name: (rankings[name], seconds[name]) for name in (EXHAUSTIVE, task.lead)}
    steps = waterfall.waterfall_steps(
        own, task.query_vectors, task.gallery_vectors, task.truth.exclude, task.seed, task.threads, task.progress
    )
    step_values = [methods.get(step.name) or _per_query(task, step.ranking, None) for step in steps]
    step_shares = {step.name: _per_class(task, step.ranking, None)[CLASS_P] for step in steps}
    shown = [name for name in (graded_name("layout"), graded_name("jaccard"), f"P(rel=any)@{TOP}") if name in free]
    lead_ap = macro[task.lead].get(CLASS_AP, macro[EXHAUSTIVE][CLASS_AP])
    subset_frame, subset_columns = _layout_subsets(task, clustering, methods, random, free)
    by_layout, ranks = tables.table((), layouts.QUERY_COLUMNS), np.zeros(0, np.int32)
    if codes is not None:
        masks = task.queries.masks
        with_mask = np.ones(len(task.queries.ids), bool) if masks is None else np.diff(masks.offsets) > 0
        by_layout, ranks = layouts.query_by_layout(
            codes, with_mask, task.queries.subsets, task.settings.layout_similarity, task.seed
        )
    columns: dict[str, NDArray[Any]] = {"photo_id": task.queries.ids, **methods[task.lead], **subset_columns}
    # What the embedding itself can do, apart from what the clusters lose of it: two arms are compared by both.
    graded = [rule for rule in task.rules if rule != "any"]
    exact = {graded_name(rule, search=EXHAUSTIVE): methods[EXHAUSTIVE][graded_name(rule)] for rule in graded}
    columns |= exact
    columns |= layouts.layout_columns(ranks) if codes is not None else {}
    columns |= {f"subset:{name}": flags for name, flags in task.queries.subsets.items()}
    settings = task.settings
    return Evaluation(
        facts=facts,
        conventions=conventions(settings, facts["leave_one_out"], int(sums.candidates.min())),
        measures=measures,
        cutoffs=tables.cutoffs_table(
            methods, random, free, settings.cutoffs, settings.resamples, settings.resample_fraction, task.seed
        ),
        pairs=tables.pairs_table(task.gallery.labels, clustering.assignment, task.seed, task.threads),
        clusters=_cluster_facts(clustering, task.gallery_vectors)
        | cluster_quality(
            task.gallery_vectors, clustering.assignment, task.gallery.labels, task.seed, threads=task.threads
        ).to_dict(),
        search=_search_table(rankings, len(task.gallery.ids)),
        pr_curve=_curve_table(walks, sums),
        per_class=tables.class_table(
            categories,
            task.truth.query_labels,
            task.truth.gallery_labels,
            (macro[task.lead][CLASS_P], lead_ap),
            (macro_random[CLASS_P], macro_random[CLASS_AP]),
        ),
        per_query=pd.DataFrame(columns),
        query_by_layout=by_layout,
        layout_subsets=subset_frame,
        waterfall=waterfall.waterfall_table(steps, step_values, shown, task.seed),
        class_losses=waterfall.class_losses(steps, step_shares, categories),
        spill=waterfall.spill_table(rankings[SEQUENTIAL]),
        rankings=rankings,
        layout_ranks=ranks,
        assignment=clustering.assignment,
        gallery_ids=task.gallery.ids,
        timings=waterfall.milliseconds(steps),
    )


def _walks(task: _Task, clustering: Clustering, fixed: NDArray[np.int32]) -> dict[str, PerQuery]:
    """Return what needs whole-gallery orders, of every search that has them, and of the query-free order."""
    asked, searched = task.query_vectors, task.gallery_vectors
    tasks: dict[str, tuple[tuple[str, ...], Orders]] = {
        EXHAUSTIVE: ((AP, CLASS_AP, CURVE), WholeGallery(asked, searched)),
        SEQUENTIAL: ((AP, CLASS_AP), WholeGallery(asked, searched, clustering)),
        "query-free": ((AP, CLASS_AP, CURVE), FixedOrder(fixed, len(asked))),
    }
    return {name: measured(names, orders, task.judge, task.progress) for name, (names, orders) in tasks.items()}


def _per_query(task: _Task, ranking: Ranking, walk: PerQuery | None) -> PerQuery:
    labels = label_names(task.cutoffs, task.settings.results)
    graded = [graded_name(rule) for rule in task.rules if rule != "any"]
    values = measured([*labels, *graded], ranking, task.judge)
    found = {name: values[name] for name in labels}
    if walk is not None:
        found[AP] = walk[AP]
    return found | values


def _per_class(task: _Task, ranking: Ranking, walk: PerQuery | None) -> PerQuery:
    values = measured([CLASS_P], ranking, task.judge)
    if walk is not None:
        values[CLASS_AP] = walk[CLASS_AP]
    return values


def _random_per_class(truth: Truth, held: NDArray[np.int64], candidates: NDArray[np.int64]) -> PerQuery:
    known = truth.query_labels & (held > 0)
    hits = floors.random_hits(held, candidates[:, None], TOP) / TOP
    average = floors.random_average_precision(held, candidates[:, None])
    return {CLASS_P: np.where(known, hits, np.nan), CLASS_AP: np.where(known, average, np.nan)}


def _layout_subsets(
    task: _Task, clustering: Clustering, methods: Mapping[str, PerQuery], random: PerQuery, free: PerQuery
) -> tuple[pd.DataFrame, PerQuery]:
    """Return the table of layout figures and the lead method's per-query columns of each subset gallery."""
    rows: list[dict[str, Any]] = []
    columns: PerQuery = {}
    if "layout" not in task.rules:
        return tables.table(rows, layouts.SUBSET_COLUMNS), columns
    everyone = np.ones(len(task.queries.ids), bool)
    shown = {name: methods[name][layouts.LAYOUT] for name in (task.lead, EXHAUSTIVE)}
    for name, flags in {"all": everyone, **task.queries.subsets}.items():
        if flags.any():
            part = {method: values[flags] for method, values in shown.items()}
            floor = random[layouts.LAYOUT][flags], free[layouts.LAYOUT][flags]
            rows += layouts.subset_rows(name, "all", part, *floor, task.seed)
        found = task.gallery.subsets.get(name)
        if found is not None and flags.any() and found.sum() > TOP:
            cut = layouts.restrict(task.truth, task.query_vectors, task.gallery_vectors, clustering, flags, found)
            inside, *floor_inside = layouts.subset_measures(cut, task.settings.order, task.threads)
            rows += layouts.subset_rows(name, name, inside, floor_inside[0], floor_inside[1], task.seed)
            column = np.full(len(flags), np.nan)
            column[flags] = inside[task.lead]
            columns[graded_name("layout", name)] = column
    return tables.table(rows, layouts.SUBSET_COLUMNS), columns


def _cluster_facts(clustering: Clustering, vectors: Vectors) -> dict[str, Any]:
    labels, distances = np.empty(len(vectors), np.int32), np.empty(len(vectors), np.float32)
    nearest(vectors, np.ascontiguousarray(clustering.centroids, np.float32), labels, distances)
    order = np.lexsort((distances, clustering.assignment))
    ends = np.cumsum(clustering.sizes)
    starts = ends - clustering.sizes
    bounds = zip(starts.tolist(), ends.tolist(), strict=True)
    return {
        "k": len(clustering.centroids),
        "inertia": clustering.inertia,
        "inertia_per_start": list(clustering.inertia_per_start),
        "iterations_per_start": list(clustering.iterations_per_start),
        "converged": clustering.converged,
        "sizes": clustering.sizes.tolist(),
        "empties": clustering.empties,
        "imbalance": clustering.imbalance,
        "examples": [order[start : min(stop, start + _EXAMPLES)].tolist() for start, stop in bounds],
    }


def _search_table(rankings: Mapping[str, Ranking], gallery: int) -> pd.DataFrame:
    exact = rankings[EXHAUSTIVE]
    n = exact.rows.shape[1]
    rows = [
        {
            "method": method,
            "share_scanned": float((ranking.scanned / gallery).mean()),
            "probes": float(ranking.probes.mean()),
            "agreement_10": float(ranking.agreement(exact, min(TOP, n)).mean()),
            "agreement_n": float(ranking.agreement(exact, n).mean()),
        }
        for method, ranking in rankings.items()
    ]
    return tables.table(rows, ("method", "share_scanned", "probes", "agreement_10", "agreement_n"))


def _curve_table(walks: Mapping[str, PerQuery], sums: GallerySums) -> pd.DataFrame:
    known = sums.relevant > 0
    base = tables.mean(np.where(known, sums.relevant / sums.candidates, np.nan))
    return pd.DataFrame(
        {
            "recall": np.linspace(0, 1, LEVELS),
            "precision": _mean_curve(walks[EXHAUSTIVE][CURVE]),
            "floor": np.full(LEVELS, base),
            "query_free": _mean_curve(walks["query-free"][CURVE]),
        }
    )


def _mean_curve(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the queries that have a curve; NaN at every level where none has."""
    return np.array([tables.mean(level) for level in curves.T])
