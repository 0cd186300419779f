"""Pairwise counts of a clustering (the paper's F): over unordered pairs of photos, exact integers.

A pair is *relevant* when the two label sets intersect, and *joined* when both photos are in one cluster. Photos with
the same label set are counted once, with their number; the label sets are compared as bit words.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.errors import UsageError
from aeret.evaluation.bits import words_of_bools

Labels = NDArray[np.bool_]
Words = NDArray[np.uint64]


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

        With one label per photo it is the adjusted Rand index (Warrens 2008). 0 where it is undefined.
        """
        below = (self.tp + self.fp) * (self.fp + self.tn) + (self.tp + self.fn) * (self.fn + self.tn)
        return 2 * (self.tp * self.tn - self.fn * self.fp) / below if below else 0.0

    @property
    def base_rate(self) -> float:
        """Share of all pairs that are relevant: the precision of joining by chance."""
        total = self.tp + self.fp + self.fn + self.tn
        return (self.tp + self.fn) / total if total else 0.0


def relevant_pairs(labels: Labels, threads: int = 0) -> int:
    """Return how many unordered pairs of photos share a label; labels bool (n, c).

    It does not depend on the clustering: a sweep over clusterings computes it once.
    """
    return _relevant_pairs(words_of_bools(_checked(labels)), threads)


def pair_counts(
    labels: Labels, assignment: NDArray[np.integer], relevant: int | None = None, threads: int = 0
) -> PairCounts:
    """Count pairs of photos by *relevant* (label sets intersect) and *joined* (same cluster).

    Args:
        labels: bool (n, c); a photo without a label shares nothing, not even with its like.
        assignment: cluster of each photo, integers (n,).
        relevant: what :func:`relevant_pairs` gave for these labels, when known.
        threads: 0 means one per core.

    Raises:
        UsageError: labels and assignment are not of the same photos.
    """
    labels = _checked(labels)
    if assignment.shape != (len(labels),):
        raise UsageError(f"{len(labels)} photos need one cluster each; got an assignment of shape {assignment.shape}.")
    words = words_of_bools(labels)
    if relevant is None:
        relevant = _relevant_pairs(words, threads)
    return _pair_counts(words, assignment, relevant, threads)


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


def _relevant_pairs(words: Words, threads: int) -> int:
    columns, number, _ = _grouped(words, np.zeros(len(words), np.int32))

    def work(start: int, stop: int) -> int:
        return int(_sharing(columns, number, start, stop))

    return sum(over_blocks(len(number), 512, work, threads))


def _pair_counts(words: Words, assignment: NDArray[np.integer], relevant: int, threads: int) -> PairCounts:
    columns, number, clusters = _grouped(words, assignment)
    bounds = list(_runs(clusters))

    def work(start: int, stop: int) -> int:
        within = bounds[start:stop]
        return sum(int(_sharing(columns[:, a:b].copy(), number[a:b], 0, b - a)) for a, b in within)

    tp = sum(over_blocks(len(bounds), 8, work, threads))
    sizes = np.unique(assignment, return_counts=True)[1].astype(np.int64)
    joined = int((sizes * (sizes - 1) // 2).sum())
    total = len(words) * (len(words) - 1) // 2
    return PairCounts(tp, joined - tp, relevant - tp, total - joined - (relevant - tp))


def _grouped(
    words: Words, assignment: NDArray[np.integer]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.integer]]:
    """Return the distinct (cluster, label set) groups: label sets as word columns, photos in each, cluster of each."""
    order = np.lexsort((*words.T, assignment))
    words, assignment = words[order], assignment[order]
    new = np.ones(len(words), bool)
    new[1:] = (assignment[1:] != assignment[:-1]) | (words[1:] != words[:-1]).any(axis=1)
    firsts = np.flatnonzero(new)
    # All int64: mixed integer types would keep the inner loop of the kernel from being vectorised.
    columns = np.ascontiguousarray(words[firsts].T).view(np.int64)
    return columns, np.diff(np.append(firsts, len(words))).astype(np.int64), assignment[firsts]


def _runs(values: NDArray[np.integer]) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(values[1:] != values[:-1]) + 1
    bounds = [0, *edges.tolist(), len(values)] if len(values) else []
    yield from itertools.pairwise(bounds)


@numba.njit(nogil=True, cache=True)
def _sharing(columns, number, first, last):  # type: ignore[no-untyped-def]
    """Pairs of photos whose label sets share a bit: one of group u in [first, last), the other of group v >= u."""
    words, groups = columns.shape
    tile = 512
    shared = np.empty(tile, np.int64)
    total = np.int64(0)
    for u in range(first, last):
        labelled = False
        for w in range(words):
            labelled |= columns[w, u] != 0
        if not labelled:
            continue
        others = np.int64(0)
        for start in range(u + 1, groups, tile):
            width = min(tile, groups - start)
            for v in range(width):
                shared[v] = columns[0, u] & columns[0, start + v]
            for w in range(1, words):
                mine = columns[w, u]
                for v in range(width):
                    shared[v] |= mine & columns[w, start + v]
            for v in range(width):
                others += number[start + v] if shared[v] != 0 else np.int64(0)
        total += number[u] * others + number[u] * (number[u] - 1) // 2
    return total
