"""Measure clusters by the vectors alone, and by labels that the clustering did not see.

By vectors: silhouette (Rousseeuw 1987) and the Davies-Bouldin index (1979). By labels: normalised mutual information
and the adjusted Rand index of photos with exactly one label; pairs are in :mod:`aeret.evaluation.pairs`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, davies_bouldin_score, normalized_mutual_info_score

from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import checked, squared_distances
from aeret.errors import UsageError
from aeret.rng import generator

SAMPLE = 1000
"""Most photos that the silhouette is averaged over."""
_DISTANCES_AT_ONCE = 2**22


@dataclass(frozen=True)
class ClusterQuality:
    """Measures of one clustering; NaN where a measure does not exist."""

    silhouette: float
    """Mean over sampled photos, in [-1, 1]; distances are to all photos. More is better; needs two clusters."""
    silhouette_photos: int
    davies_bouldin: float
    """Mean over clusters of the worst ratio of spread to distance between centres. Less is better."""
    nmi: float
    """Of clusters and labels, on photos with exactly one label, in [0, 1] (arithmetic mean of the entropies)."""
    ari: float
    """Adjusted Rand index on the same photos: 0 at chance, 1 for identity."""
    single_label_photos: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


def cluster_quality(
    vectors: NDArray[np.floating],
    assignment: NDArray[np.integer],
    labels: NDArray[np.bool_],
    seed: int,
    sample: int = SAMPLE,
    threads: int = 0,
) -> ClusterQuality:
    """Measure the clusters, integers (n,), of vectors float32 (n, d) against labels, bool (n, c).

    The silhouette is averaged over ``sample`` photos, which ``seed`` draws.

    Raises:
        UsageError: the three are not of the same photos.
    """
    vectors = checked(vectors, "Embeddings that were clustered")
    if assignment.shape != (len(vectors),) or labels.ndim != 2 or len(labels) != len(vectors):
        raise UsageError(
            f"{len(vectors)} vectors need one cluster and one row of labels each; got an assignment of shape "
            f"{assignment.shape} and labels of shape {labels.shape}."
        )
    rows = np.arange(len(vectors))
    if sample < len(vectors):
        rows = np.sort(generator(seed, "silhouette").choice(len(vectors), sample, replace=False))
    single = labels.sum(axis=1) == 1
    nmi = ari = silhouette = float("nan")
    if single.sum() > 1:
        own = labels[single].argmax(axis=1)
        nmi = float(normalized_mutual_info_score(own, assignment[single]))
        ari = float(adjusted_rand_score(own, assignment[single]))
    if len(rows):
        silhouette = float(silhouettes(vectors, assignment, rows, threads).mean())
    return ClusterQuality(silhouette, len(rows), davies_bouldin(vectors, assignment), nmi, ari, int(single.sum()))


def silhouettes(
    vectors: NDArray[np.floating], assignment: NDArray[np.integer], rows: NDArray[np.integer], threads: int = 0
) -> NDArray[np.float64]:
    """Return the silhouette of some vectors among all, float64 (len(rows),), in bounded memory.

    ``(b - a) / max(a, b)``, with ``a`` the mean Euclidean distance to the others of the own cluster and ``b`` the
    least mean distance to another cluster; 0 for a vector alone in its cluster, NaN where there is one cluster.
    """
    vectors = checked(vectors, "Embeddings that were clustered")
    clusters = np.unique(assignment, return_inverse=True)[1]
    sizes = np.bincount(clusters)
    if len(sizes) < 2:
        return np.full(len(rows), np.nan)
    order = np.argsort(clusters, kind="stable")
    gathered, starts = vectors[order], np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def work(start: int, stop: int) -> NDArray[np.float64]:
        some = rows[start:stop]
        own = clusters[some]
        distances = np.sqrt(squared_distances(vectors[some], gathered))
        sums = np.add.reduceat(distances, starts, axis=1, dtype=np.float64)
        here = np.arange(len(some)), own
        within = sums[here] / np.maximum(sizes[own] - 1, 1)
        means = sums / sizes
        means[here] = np.inf
        nearest = means.min(axis=1)
        larger = np.maximum(within, nearest)
        values = np.divide(nearest - within, larger, out=np.zeros(len(some)), where=larger > 0)
        return np.where(sizes[own] > 1, values, 0.0)

    block = max(1, min(64, _DISTANCES_AT_ONCE // len(vectors)))
    return np.concatenate([np.zeros(0), *over_blocks(len(rows), block, work, threads)])


def davies_bouldin(vectors: NDArray[np.floating], assignment: NDArray[np.integer]) -> float:
    """Return the Davies-Bouldin index over clusters with members; NaN with a single one."""
    clusters = len(np.unique(assignment))
    if clusters < 2:
        return float("nan")
    if clusters == len(assignment):  # every cluster is a point, which scikit-learn refuses
        return 0.0
    return float(davies_bouldin_score(checked(vectors, "Embeddings that were clustered"), assignment))
