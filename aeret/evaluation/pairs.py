"""Count pairs of photos by shared labels and shared clusters (the paper's pairwise F).

A pair is *relevant* if the two label sets intersect and *joined* if both photos are in one cluster. Photos with equal
label sets are counted once, with their number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.data.stats import sharing_pairs
from aeret.errors import UsageError

Labels = NDArray[np.bool_]


@dataclass(frozen=True)
class PairCounts:
    """Exact counts over all n (n - 1) / 2 pairs of photos."""

    tp: int
    """Relevant and joined."""
    fp: int
    """Joined, not relevant."""
    fn: int
    """Relevant, not joined."""
    tn: int

    @property
    def precision(self) -> float:
        """Share of joined pairs that are relevant; 0 when no pair is joined."""
        return self.tp / (self.tp + self.fp) if self.tp else 0.0

    @property
    def recall(self) -> float:
        """Share of relevant pairs that are joined; 0 when none is."""
        return self.tp / (self.tp + self.fn) if self.tp else 0.0

    @property
    def f(self) -> float:
        """Harmonic mean of precision and recall; 0 when tp = 0."""
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp else 0.0

    @property
    def kappa(self) -> float:
        """Cohen's kappa of *joined* against *relevant*: 0 for chance, 1 for identity.

        With one label per photo it is the adjusted Rand index (Warrens 2008). 0 if it is undefined.
        """
        below = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (self.fn + self.tn)
        return 2 * (self.tp * self.tn - self.fn * self.fp) / below if below else 0.0

    @property
    def base_rate(self) -> float:
        """Share of all pairs that are relevant: the precision of joining by chance."""
        total = self.tp + self.fp + self.fn + self.tn
        return (self.tp + self.fn) / total if total else 0.0


@dataclass(frozen=True)
class LabelSets:
    """Distinct label sets of photos, made once for many clusterings."""

    of: NDArray[np.int64]
    """Label set of each photo, int64 (n,)."""
    labels: Labels
    """bool (sets, c)."""

    @classmethod
    def made_of(cls, labels: Labels) -> LabelSets:
        """Find the distinct label sets of labels bool (n, c).

        Raises:
            UsageError: labels are not a bool matrix.
        """
        packed, of = np.unique(np.packbits(_checked(labels), axis=1), axis=0, return_inverse=True)
        sets = np.unpackbits(packed, axis=1, count=labels.shape[1]).astype(bool)
        return cls(of.reshape(-1).astype(np.int64), sets)


def relevant_pairs(labels: Labels | LabelSets) -> int:
    """Count the unordered pairs of photos that share a label; labels bool (n, c), or their sets."""
    sets = labels if isinstance(labels, LabelSets) else LabelSets.made_of(labels)
    return _sharing_pairs(sets, sets.of)


def pair_counts(labels: Labels | LabelSets, assignment: NDArray[np.integer], relevant: int | None = None) -> PairCounts:
    """Count pairs of photos by *relevant* (label sets intersect) and *joined* (same cluster).

    Args:
        labels: bool (n, c), or their sets; a photo without a label shares nothing, not even with another such photo.
        assignment: cluster of each photo, integers (n,).
        relevant: the count of :func:`relevant_pairs` for these labels, if it is known.

    Raises:
        UsageError: labels and assignment are not of the same photos.
    """
    sets = labels if isinstance(labels, LabelSets) else LabelSets.made_of(labels)
    if assignment.shape != sets.of.shape:
        raise UsageError(f"{len(sets.of)} photos need one cluster each; got an assignment of shape {assignment.shape}.")
    relevant = relevant_pairs(sets) if relevant is None else relevant
    order = np.argsort(assignment, kind="stable")
    bounds = np.flatnonzero(np.diff(assignment[order])) + 1
    clusters = np.split(sets.of[order], bounds)
    tp = sum(_sharing_pairs(sets, cluster) for cluster in clusters)
    joined = sum(len(cluster) * (len(cluster) - 1) // 2 for cluster in clusters)
    total = len(sets.of) * (len(sets.of) - 1) // 2
    return PairCounts(tp, joined - tp, relevant - tp, total - joined - (relevant - tp))


def label_oracle(labels: Labels) -> NDArray[np.int32]:
    """Return the partition that knows the labels: each photo joins the cluster of its most frequent own label.

    Photos without a label share one more cluster. int32 (n,).
    """
    labels = _checked(labels)
    frequency = labels.sum(axis=0, dtype=np.int64)
    best = np.where(labels, frequency + 1, 0).argmax(axis=1)
    return np.asarray(np.where(labels.any(axis=1), best, labels.shape[1]), np.int32)


def _checked(labels: Labels) -> Labels:
    if labels.ndim != 2 or labels.dtype != np.bool_:
        raise UsageError(f"Labels must be bool (photos, categories); got {labels.dtype} of shape {labels.shape}.")
    return labels


def _sharing_pairs(sets: LabelSets, photos: NDArray[np.int64]) -> int:
    """Count the pairs of photos, given by their label sets int64 (m,), that share a label."""
    found, counts = np.unique(photos, return_counts=True)
    return sharing_pairs(sets.labels[found], counts)
