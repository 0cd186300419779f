"""Turn per-query values into tables with intervals and floors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.distances import Vectors, nearest_rows
from aeret.evaluation.measures import MethodValues, PerQuery
from aeret.evaluation.metrics import Judge
from aeret.evaluation.metrics.averages import class_mean
from aeret.evaluation.metrics.averages import mean as mean
from aeret.evaluation.metrics.ranked import Values
from aeret.evaluation.pairs import LabelSets, label_oracle, pair_counts, relevant_pairs
from aeret.evaluation.relevance import Truth
from aeret.evaluation.resample import resampled, sample_queries
from aeret.evaluation.searches import EXHAUSTIVE
from aeret.evaluation.significance import bootstrap_interval, bootstrap_weights, interval
from aeret.evaluation.task import TOP
from aeret.retrieval.ranking import Ranking
from aeret.rng import generator
from aeret.settings.sections import ClusterSettings

RESAMPLES = 2000
"""Bootstrap samples behind the interval of a measure."""
_EXAMPLES = 12
"""Photos nearest to its centroid that a cluster shows."""
_MEASURES = ("method", "measure", "value", "low", "high", "queries", "skipped", "floor_random", "floor_query_free")
_CUTOFFS = ("method", "n", "measure", "mean", "sd", "low", "high", "floor_random", "floor_query_free")
_PAIRS = ("tp", "fp", "fn", "tn", "precision", "recall", "f", "kappa")
_CLASSES = ("category", "queries", "prevalence", "P@10", "AP", "floor", "floor_ap")
_SEARCH = ("method", "share_scanned", "probes", "agreement_10", "agreement_n")


@dataclass(frozen=True)
class Floors:
    """Values that a search reaches without looking at the query."""

    random: MethodValues
    query_free: MethodValues


def table(rows: Iterable[Mapping[str, Any]] | Iterable[Sequence[Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Return rows as a frame with these columns, in this order, even if there are no rows."""
    return pd.DataFrame(list(rows), columns=pd.Index(list(columns)))


def measures_table(methods: Mapping[str, MethodValues], bounds: Floors, seed: int) -> pd.DataFrame:
    """Return one row per method and measure, with its bootstrap interval over queries and its floors."""
    random, free = bounds.random.per_query, bounds.query_free.per_query
    rows = []
    for method, found in methods.items():
        values = found.per_query
        # The same draws for every method: their intervals are about the same samples of queries.
        low, high = bootstrap_interval(np.stack(list(values.values()), axis=1), generator(seed, "bootstrap"), RESAMPLES)
        for column, (name, each) in enumerate(values.items()):
            count = int(np.isfinite(each).sum())
            ends = (mean(random[name]), mean(free[name]))
            rows.append((method, name, mean(each), low[column], high[column], count, len(each) - count, *ends))
    return table(rows, _MEASURES)


def macro_table(methods: Mapping[str, MethodValues], bounds: Floors, seed: int) -> pd.DataFrame:
    """Return the class averages as rows of :func:`measures_table`."""
    random, free = bounds.random.per_class, bounds.query_free.per_class
    rows = []
    for method, found in methods.items():
        for name, each in found.per_class.items():
            low, high = _class_interval(each, seed)
            count = int(np.isfinite(each).any(axis=1).sum())
            ends = (class_mean(random[name]), class_mean(free[name]))
            rows.append((method, name, class_mean(each), low, high, count, len(each) - count, *ends))
    return table(rows, _MEASURES)


def _class_interval(values: Values, seed: int) -> tuple[float, float]:
    """Return the bootstrap interval over queries of the class average of values float64 (q, c)."""
    valid = np.isfinite(values)
    filled, known = np.where(valid, values, 0.0), valid.astype(np.float64)
    draws = []
    for weights in bootstrap_weights(len(values), RESAMPLES, generator(seed, "bootstrap")):
        drawn = weights @ known
        per_class = (weights @ filled) / np.maximum(drawn, 1)
        draws.append((per_class * (drawn > 0)).sum(axis=1) / np.maximum((drawn > 0).sum(axis=1), 1))
    low, high = interval(np.concatenate(draws)[:, None])
    return float(low[0]), float(high[0])


def cutoffs_table(
    methods: Mapping[str, MethodValues], bounds: Floors, settings: ClusterSettings, seed: int
) -> pd.DataFrame:
    """Return P, R, capped R and F at each cut-off over random samples of the queries: the paper's second table."""
    forms = {"P": "P(rel=any)", "R": "R(rel=any)", "R capped": "R(rel=any,capped)", "F": "F(rel=any)"}
    names = {f"{form}@{n}": (part, n) for n in settings.cutoffs for part, form in forms.items()}
    random, free = bounds.random.per_query, bounds.query_free.per_query
    count = len(next(iter(random.values())))
    samples = sample_queries(count, settings.resample_fraction, settings.resamples, generator(seed, "query samples"))
    rows = []
    for method, found in methods.items():
        drawn = resampled(np.stack([found.per_query[name] for name in names], axis=1), samples)
        for column, (name, (part, n)) in enumerate(names.items()):
            spread = (drawn.mean[column], drawn.sd[column], drawn.low[column], drawn.high[column])
            rows.append((method, n, part, *spread, mean(random[name]), mean(free[name])))
    return table(rows, _CUTOFFS)


def pairs_table(labels: NDArray[np.bool_], assignment: NDArray[np.int32], seed: int) -> pd.DataFrame:
    """Return pairwise counts of the gallery's clusters and of three partitions that bound them.

    ``random partition`` keeps the cluster sizes and shuffles their members; ``label oracle`` joins photos by their most
    frequent own label.
    """
    sets = LabelSets.made_of(labels)
    relevant = relevant_pairs(sets)
    partitions = {
        "clusters": assignment,
        "single cluster": np.zeros_like(assignment),
        "random partition": generator(seed, "random partition").permutation(assignment),
        "label oracle": label_oracle(labels),
    }
    rows = []
    for name, partition in partitions.items():
        counts = pair_counts(sets, partition, relevant)
        rows.append((name, len(np.unique(partition)), *(getattr(counts, part) for part in _PAIRS)))
    return table(rows, ("name", "clusters", *_PAIRS))


def class_table(categories: Sequence[str], truth: Truth, values: PerQuery, random: PerQuery) -> pd.DataFrame:
    """Return one row per category that a query has.

    Args:
        categories: names of the classes.
        truth: labels of queries and gallery.
        values: P@10 and AP by class, in this order, float64 (q, c) each.
        random: their random floors.
    """
    rows = []
    for c in np.flatnonzero(truth.query_labels.any(axis=0)).tolist():
        numbers = (mean(each[:, c]) for each in (*values.values(), *(random[name] for name in values)))
        queries, prevalence = int(truth.query_labels[:, c].sum()), float(truth.gallery_labels[:, c].mean())
        rows.append((categories[c], queries, prevalence, *numbers))
    return table(rows, _CLASSES)


def search_table(rankings: Mapping[str, Ranking], gallery: int) -> pd.DataFrame:
    """Return what each search scanned of ``gallery`` photos, and its agreement with the exhaustive one."""
    exact = rankings[EXHAUSTIVE]
    n = exact.rows.shape[1]

    def rows() -> Iterator[tuple[Any, ...]]:
        for method, found in rankings.items():
            agreements = (float(found.agreement(exact, count).mean()) for count in (min(TOP, n), n))
            yield method, float((found.scanned / gallery).mean()), float(found.probes.mean()), *agreements

    return table(rows(), _SEARCH)


def curve_table(exhaustive: Values, query_free: Values, judge: Judge) -> pd.DataFrame:
    """Return mean precision at each level of recall, of curves float64 (q, levels), and the base rate as floor."""
    levels = exhaustive.shape[1]
    relevant = judge.totals("any").relevant
    base = mean(np.where(relevant > 0, relevant / judge.candidates, np.nan))
    return pd.DataFrame(
        {
            "recall": np.linspace(0, 1, levels),
            "precision": [mean(level) for level in exhaustive.T],
            "floor": np.full(levels, base),
            "query_free": [mean(level) for level in query_free.T],
        }
    )


def cluster_facts(clustering: Clustering, vectors: Vectors) -> dict[str, Any]:
    """Return what is known of the clusters of vectors float32 (g, d), with the photos nearest to each centroid."""
    distances = nearest_rows(vectors, np.ascontiguousarray(clustering.centroids, np.float32), 1)[1][:, 0]
    order = np.lexsort((distances, clustering.assignment))
    ends = np.cumsum(clustering.sizes)
    bounds = zip((ends - clustering.sizes).tolist(), ends.tolist(), strict=True)
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
