"""Pairwise counts of a clustering (the paper's F): over unordered pairs of photos, exact integers.

A pair is *relevant* when the two label sets intersect, and *joined* when both photos are in one cluster. Photos with
the same label set are counted once, with their number. Each category is a row of bits over the distinct sets: the sets
that share a category with a given one are the union of a few such rows, and its photos are counted as ones, 64 sets a
word; the numbers of photos are rows of bits too, one for each power of two.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.blocks import over_blocks
from aeret.errors import UsageError
from aeret.retrieval.bits import ones, words_of_bools

Labels = NDArray[np.bool_]
Words = NDArray[np.uint64]

_BLOCK = 8192


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


@dataclass(frozen=True)
class LabelSets:
    """The distinct label sets of photos; a sweep over clusterings makes them once."""

    of: NDArray[np.int64]
    """Number of the label set of each photo, int64 (n,)."""
    words: Words
    """Label sets as bit words, uint64 (sets, words), those of most photos first."""
    photos: NDArray[np.int64]
    """Photos with each set, int64 (sets,)."""

    @classmethod
    def made_of(cls, labels: Labels) -> LabelSets:
        """Return the label sets of labels bool (n, c).

        Raises:
            UsageError: labels are no bool matrix.
        """
        words = words_of_bools(_checked(labels))
        table = np.full(1 << max(4, (2 * len(words)).bit_length()), -1, np.int32)
        of, firsts = _distinct(words, table)
        photos = np.bincount(of, minlength=len(firsts)).astype(np.int64)
        order = np.argsort(-photos, kind="stable")
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        return cls(place[of], words[firsts[order]], photos[order])


def relevant_pairs(labels: Labels | LabelSets, threads: int = 0) -> int:
    """Return how many unordered pairs of photos share a label; labels bool (n, c), or their sets.

    It does not depend on the clustering: a sweep over clusterings computes it once.
    """
    sets = labels if isinstance(labels, LabelSets) else LabelSets.made_of(labels)
    return _relevant_pairs(sets, threads)


def pair_counts(
    labels: Labels | LabelSets, assignment: NDArray[np.integer], relevant: int | None = None, threads: int = 0
) -> PairCounts:
    """Count pairs of photos by *relevant* (label sets intersect) and *joined* (same cluster).

    Args:
        labels: bool (n, c), or their sets; a photo without a label shares nothing, not even with its like.
        assignment: cluster of each photo, integers (n,).
        relevant: what :func:`relevant_pairs` gave for these labels, when known.
        threads: 0 means one per core.

    Raises:
        UsageError: labels and assignment are not of the same photos.
    """
    sets = labels if isinstance(labels, LabelSets) else LabelSets.made_of(labels)
    if assignment.shape != sets.of.shape:
        raise UsageError(f"{len(sets.of)} photos need one cluster each; got an assignment of shape {assignment.shape}.")
    if relevant is None:
        relevant = _relevant_pairs(sets, threads)
    return _pair_counts(sets, assignment, relevant, threads)


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


def _relevant_pairs(sets: LabelSets, threads: int) -> int:
    return _sharing_pairs(sets.words, sets.photos, np.array([0, len(sets.photos)]), threads)


def _pair_counts(sets: LabelSets, assignment: NDArray[np.integer], relevant: int, threads: int) -> PairCounts:
    count = max(1, len(sets.words))
    keys = assignment.astype(np.int64)
    lowest, highest = (int(keys.min()), int(keys.max())) if len(keys) else (0, 0)
    if highest - lowest >= 2**62 // count:
        keys, lowest = np.unique(keys, return_inverse=True)[1].astype(np.int64), 0
    keys -= lowest
    keys *= count
    keys += sets.of
    keys.sort()
    firsts = np.flatnonzero(np.diff(keys, prepend=-1))
    photos = np.diff(np.append(firsts, len(keys))).astype(np.int64)
    cluster, of = np.divmod(keys[firsts], count)
    bounds = np.flatnonzero(np.diff(cluster, prepend=-1, append=-1))
    tp = _sharing_pairs(sets.words[of], photos, bounds, threads)
    sizes = np.diff(np.append(firsts, len(keys))[bounds])
    joined = int((sizes * (sizes - 1) // 2).sum())
    total = len(keys) * (len(keys) - 1) // 2
    return PairCounts(tp, joined - tp, relevant - tp, total - joined - (relevant - tp))


def _sharing_pairs(words: Words, photos: NDArray[np.int64], bounds: NDArray[np.int64], threads: int) -> int:
    """Return how many pairs of photos share a label inside the groups of sets bounds[i]:bounds[i + 1]."""
    parts = [
        (first, last, start, min(last, start + _BLOCK))
        for first, last in itertools.pairwise(bounds.tolist())
        for start in range(first, last, _BLOCK)
    ]

    def work(start: int, stop: int) -> int:
        return sum(int(_sharing(words, photos, *part)) for part in parts[start:stop])

    return sum(over_blocks(len(parts), 8 if len(bounds) > 2 else 1, work, threads))


@numba.njit(nogil=True, cache=True)
def _distinct(words, table):  # type: ignore[no-untyped-def]
    """Number the distinct rows in order of appearance.

    ``table``, filled with -1, is a hash table with open addressing. Returns the number of each row, and the first row
    of each number.
    """
    rows, width = words.shape
    mask = np.uint64(len(table) - 1)
    of, firsts = np.empty(rows, np.int64), np.empty(rows, np.int64)
    found = 0
    for i in range(rows):
        mixed = np.uint64(0)
        for w in range(width):
            mixed = (mixed ^ words[i, w]) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        slot = mixed & mask
        while table[slot] >= 0:
            first, same = firsts[table[slot]], True
            for w in range(width):
                same &= words[first, w] == words[i, w]
            if same:
                break
            slot = (slot + np.uint64(1)) & mask
        if table[slot] < 0:
            table[slot] = found
            firsts[found] = i
            found += 1
        of[i] = table[slot]
    return of, firsts[:found].copy()


@numba.njit(nogil=True, cache=True)
def _sharing(words, photos, first, last, start, stop):  # type: ignore[no-untyped-def]
    """Pairs of photos whose label sets share a bit: one of set u in [start, stop), the other of set v in [u, last)."""
    width, length = words.shape[1], (last - first + 63) // 64
    zero, one, low = np.uint64(0), np.uint64(1), np.uint64(63)
    holding = np.zeros((width * 64, length), np.uint64)  # bit v of row c: set v holds category c
    numbers = np.zeros((63, length), np.uint64)  # bit v of row j: so is bit j of the number of photos of set v
    ends = np.zeros(63, np.int64)
    powers = 0
    for v in range(last - first):
        word, bit = v >> 6, one << (np.uint64(v) & low)
        for w in range(width):
            rest = words[first + v, w]
            while rest != zero:
                holding[w * 64 + np.int64(ones((rest & (~rest + one)) - one)), word] |= bit
                rest &= rest - one
        count, power = photos[first + v], 0
        while count:
            if count & 1:
                numbers[power, word] |= bit
                ends[power] = word + 1
            power += 1
            count >>= 1
        powers = max(powers, power)
    total = np.int64(0)
    shared = np.empty(length, np.uint64)
    for u in range(start - first, stop - first):
        begin, labelled = u >> 6, False
        for w in range(width):
            rest = words[first + u, w]
            while rest != zero:
                row = holding[w * 64 + np.int64(ones((rest & (~rest + one)) - one))]
                rest &= rest - one
                if labelled:
                    for t in range(begin, length):
                        shared[t] |= row[t]
                else:
                    for t in range(begin, length):
                        shared[t] = row[t]
                labelled = True
        if not labelled:
            continue
        shared[begin] &= (~zero << (np.uint64(u) & low)) << one  # the later sets alone
        others = np.int64(0)
        for power in range(powers):
            found = zero
            row = numbers[power]
            for t in range(begin, ends[power]):
                found += ones(shared[t] & row[t])
            others += np.int64(found) << power
        mine = photos[first + u]
        total += mine * others + mine * (mine - 1) // 2
    return total
