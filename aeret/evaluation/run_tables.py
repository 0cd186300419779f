"""Tabulate what clusters and searches are like, beside their measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.clustering.kmeans import Clustering
from aeret.embeddings.distances import Vectors, nearest
from aeret.evaluation import tables
from aeret.evaluation.gallery_pass import GallerySums
from aeret.evaluation.measures import CURVE, TOP, PerQuery
from aeret.evaluation.metrics.curve import LEVELS
from aeret.evaluation.searches import EXHAUSTIVE
from aeret.retrieval.ranking import Ranking

_EXAMPLES = 12


def cluster_facts(clustering: Clustering, vectors: Vectors) -> dict[str, Any]:
    """Return sizes, inertia and central photos of each cluster, as JSON-able values."""
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


def search_table(rankings: Mapping[str, Ranking], gallery: int) -> pd.DataFrame:
    """Return one row per search: share of the gallery scanned, clusters visited, agreement with the exact one."""
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


def curve_table(walks: Mapping[str, PerQuery], sums: GallerySums) -> pd.DataFrame:
    """Return the mean precision-recall curve of the exact search and of its floors."""
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
