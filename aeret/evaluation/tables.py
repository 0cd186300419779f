"""Per-query values to tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.evaluation.measures import PerQuery
from aeret.evaluation.metrics.averages import class_mean
from aeret.evaluation.metrics.averages import mean as mean
from aeret.evaluation.metrics.ranked import Values
from aeret.evaluation.pairs import LabelSets, PairCounts, label_oracle, pair_counts, relevant_pairs
from aeret.evaluation.resample import resampled, sample_queries
from aeret.evaluation.significance import bootstrap_interval, bootstrap_weights, interval
from aeret.rng import generator

RESAMPLES = 2000
"""Bootstrap samples behind the interval of a measure."""

_MEASURES = ("method", "measure", "value", "low", "high", "queries", "skipped", "floor_random", "floor_query_free")
_CUTOFFS = ("method", "n", "measure", "mean", "sd", "low", "high", "floor_random", "floor_query_free")


def table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Return records as a frame with these columns, in this order, also where there is no record."""
    return pd.DataFrame(list(rows), columns=pd.Index(list(columns)))


def measures_table(methods: Mapping[str, PerQuery], random: PerQuery, free: PerQuery, seed: int) -> pd.DataFrame:
    """Return one row per method and measure, with its bootstrap interval over queries and its floors."""
    rows = []
    for method, values in methods.items():
        stacked = np.stack(list(values.values()), axis=1)
        # The same draws for every method: their intervals are about the same samples of queries.
        low, high = bootstrap_interval(stacked, generator(seed, "bootstrap"), RESAMPLES)
        for column, (name, each) in enumerate(values.items()):
            count = int(np.isfinite(each).sum())
            record = (method, name, mean(each), low[column], high[column], count, len(each) - count)
            rows.append(dict(zip(_MEASURES, (*record, mean(random[name]), mean(free[name])), strict=True)))
    return table(rows, _MEASURES)


def macro_table(
    methods: Mapping[str, PerQuery], random: PerQuery, free: PerQuery, names: Sequence[str], seed: int
) -> pd.DataFrame:
    """Return class-macro rows in the form of :func:`measures_table`, of values float64 (q, c)."""
    rows = []
    for method, values in methods.items():
        for name in names:
            if name not in values:
                continue
            each = values[name]
            valid = np.isfinite(each)
            filled, known = np.where(valid, each, 0.0), valid.astype(np.float64)
            draws = []
            for weights in bootstrap_weights(len(each), RESAMPLES, generator(seed, "bootstrap")):
                drawn = weights @ known
                per_class = (weights @ filled) / np.maximum(drawn, 1)
                draws.append((per_class * (drawn > 0)).sum(axis=1) / np.maximum((drawn > 0).sum(axis=1), 1))
            low, high = interval(np.concatenate(draws)[:, None])
            count = int(valid.any(axis=1).sum())
            record = (method, name, class_mean(each), low[0], high[0], count, len(each) - count)
            record_floors = (class_mean(random[name]), class_mean(free[name]))
            rows.append(dict(zip(_MEASURES, (*record, *record_floors), strict=True)))
    return table(rows, _MEASURES)


def cutoffs_table(
    methods: Mapping[str, PerQuery],
    random: PerQuery,
    free: PerQuery,
    cutoffs: Sequence[int],
    resamples: int,
    fraction: float,
    seed: int,
) -> pd.DataFrame:
    """Return P, R, capped R and F at each cut-off over random samples of the queries: the paper's second table."""
    forms = {"P": "P(rel=any)", "R": "R(rel=any)", "R capped": "R(rel=any,capped)", "F": "F(rel=any)"}
    names = {f"{form}@{n}": (part, n) for n in cutoffs for part, form in forms.items()}
    count = len(next(iter(random.values())))
    samples = sample_queries(count, fraction, resamples, generator(seed, "query samples"))
    rows = []
    for method, values in methods.items():
        drawn = resampled(np.stack([values[name] for name in names], axis=1), samples)
        for column, (name, (part, n)) in enumerate(names.items()):
            spread = (drawn.mean[column], drawn.sd[column], drawn.low[column], drawn.high[column])
            record = (method, n, part, *spread, mean(random[name]), mean(free[name]))
            rows.append(dict(zip(_CUTOFFS, record, strict=True)))
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
        rows.append({"name": name, "clusters": len(np.unique(partition)), **_pair_values(counts)})
    return table(rows, ("name", "clusters", "tp", "fp", "fn", "tn", "precision", "recall", "f", "kappa"))


def _pair_values(counts: PairCounts) -> dict[str, Any]:
    names = ("tp", "fp", "fn", "tn", "precision", "recall", "f", "kappa")
    return {name: getattr(counts, name) for name in names}


def class_table(
    categories: Sequence[str],
    labels: NDArray[np.bool_],
    gallery_labels: NDArray[np.bool_],
    values: tuple[Values, Values],
    random: tuple[Values, Values],
) -> pd.DataFrame:
    """Return one row per category that a query has; P@10 and AP, each float64 (q, c), and their random floors."""
    rows = []
    for c in np.flatnonzero(labels.any(axis=0)).tolist():
        precision, ap, floor, floor_ap = (mean(part[:, c]) for part in (*values, *random))
        rows.append(
            {
                "category": categories[c],
                "queries": int(labels[:, c].sum()),
                "prevalence": float(gallery_labels[:, c].mean()),
                "P@10": precision,
                "AP": ap,
                "floor": floor,
                "floor_ap": floor_ap,
            }
        )
    return table(rows, ("category", "queries", "prevalence", "P@10", "AP", "floor", "floor_ap"))
