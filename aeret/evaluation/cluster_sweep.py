"""Compare clusterings of the same photos for several k, and say which k each criterion would choose."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.clustering.kmeans import fit_kmeans
from aeret.embeddings.distances import checked
from aeret.errors import UsageError
from aeret.evaluation.clusters import SAMPLE, cluster_quality
from aeret.evaluation.pairs import LabelSets, pair_counts, relevant_pairs
from aeret.progress import Progress, silent

CRITERIA = {
    "inertia": "the knee: farthest below the line from the first k to the last, over the logarithm of k",
    "silhouette": "the largest",
    "davies_bouldin": "the smallest",
    "nmi": "the largest",
    "ari": "the largest",
    "f": "the largest",
    "kappa": "the largest",
}
"""Column of a sweep to how it chooses."""
_COLUMNS = (
    "k", "inertia", "silhouette", "davies_bouldin", "nmi", "ari", "precision", "recall", "f", "kappa", "imbalance",
    "empties", "seconds",
)  # fmt: skip


def sweep_clusters(
    vectors: NDArray[np.floating],
    labels: NDArray[np.bool_],
    clusters: Sequence[int],
    seed: int,
    sample: int = SAMPLE,
    progress: Progress = silent,
    **kmeans: Any,
) -> pd.DataFrame:
    """Cluster once for every k and measure each clustering.

    Args:
        vectors: float32 (n, d).
        labels: bool (n, c).
        clusters: values of k, each at most n.
        seed: the run's seed, the same for every k.
        sample: photos the silhouette is averaged over.
        progress: shows the clusterings.
        kmeans: ``starts`` and ``iterations`` of :func:`aeret.clustering.kmeans.fit_kmeans`.

    Returns:
        A row per k, ascending; ``seconds`` are of k-means.

    Raises:
        UsageError: no k, one below 2 or above n, or labels of other photos.
    """
    vectors = checked(vectors, "Embeddings to cluster")
    ascending = sorted(set(clusters))
    if not ascending or ascending[0] < 2 or ascending[-1] > len(vectors):
        raise UsageError(f"A sweep needs values of k from 2 to the {len(vectors)} photos; got {list(clusters)}.")
    if len(labels) != len(vectors):
        raise UsageError(f"There are {len(vectors)} embeddings and {len(labels)} rows of labels; they must be as many.")
    sets = LabelSets.made_of(labels)
    relevant = relevant_pairs(sets)
    rows = []
    with progress("sweep", len(ascending), unit="k") as step:
        for k in ascending:
            began = time.perf_counter()
            found = fit_kmeans(vectors, k, seed, **kmeans)
            seconds = time.perf_counter() - began
            quality = cluster_quality(vectors, found.assignment, labels, seed, sample)
            counts = pair_counts(sets, found.assignment, relevant)
            row: dict[str, Any] = {"k": k, "seconds": seconds}
            for source in (found, quality, counts):
                row |= {name: getattr(source, name) for name in _COLUMNS if hasattr(source, name)}
            rows.append(row)
            step(1)
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def choices(sweep: pd.DataFrame) -> dict[str, int]:
    """Return the k that each criterion of :data:`CRITERIA` would choose; ties go to the smallest k.

    A criterion without numbers chooses none; the knee needs three values of k.
    """
    chosen: dict[str, int] = {}
    k = sweep["k"].to_numpy()
    for name in CRITERIA:
        values = sweep[name].to_numpy(dtype=np.float64)
        if name == "inertia":
            if len(k) > 2:
                chosen[name] = int(k[_knee(np.log(k), values)])
        elif np.isfinite(values).any():
            best = np.nanargmin(values) if name == "davies_bouldin" else np.nanargmax(values)
            chosen[name] = int(k[best])
    return chosen


def _knee(x: NDArray[np.float64], y: NDArray[np.float64]) -> int:
    """Return where y lies farthest below the chord; the first place where it lies nowhere below."""
    chord = y[0] + (y[-1] - y[0]) * (x - x[0]) / (x[-1] - x[0])
    return int(np.argmax(chord - y))
