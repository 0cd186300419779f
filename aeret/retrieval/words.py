"""Photos as bags of visual words, and the inverted index over them (Sivic & Zisserman, "Video Google", ICCV 2003).

A visual word here is a centroid of k-means over *photo embeddings*, learnt on the train photos or the gallery: the
product keeps one vector a photo and no local features. A photo's bag has, for each vocabulary (one a granularity, say
k = 64, 256, 1024), its ``m`` nearest words with soft counts that sum to ``m``: weights ``exp(-d^2 / (2 s^2))`` over
those m, with s^2 half the mean squared distance to the nearest word (Philbin et al., "Lost in quantization", CVPR
2008). Coarse words give recall, fine ones precision; the ranking function weighs them by how rare they are.

A bag is a row of a ``scipy.sparse`` matrix; its transpose by column is the inverted index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aeret.clustering.kmeans import fit_kmeans
from aeret.embeddings.blocks import over_blocks
from aeret.embeddings.distances import Vectors, checked, nearest_rows
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.smallest import sort_smallest

Bags = sparse.csr_array
"""Counts of words, float64 (photos, words)."""
QUERIES_AT_ONCE = 64
_SHIFT, _ROW = np.uint64(32), np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Words:
    """Vocabularies of visual words, coarse to fine."""

    centroids: tuple[Vectors, ...]
    """float32 (k, d) each."""
    softness: tuple[float, ...]
    """s^2 of each vocabulary; 0 gives all of the count to the nearest word."""
    nearest: int
    """m: words of one vocabulary in a bag."""

    def __len__(self) -> int:
        return sum(map(len, self.centroids))

    def bags(self, vectors: NDArray[np.floating]) -> Bags:
        """Return the bags of photos, float64 (n, words).

        Args:
            vectors: embeddings, float32 (n, d).

        Raises:
            UsageError: vectors of another width, or not finite.
        """
        vectors = checked(vectors, "Embeddings", self.centroids[0].shape[1])
        parts = [
            self._bags(vectors, centroids, softness)
            for centroids, softness in zip(self.centroids, self.softness, strict=True)
        ]
        return sparse.csr_array(sparse.hstack(parts, format="csr"))

    def _bags(self, vectors: Vectors, centroids: Vectors, softness: float) -> Bags:
        count = min(self.nearest, len(centroids))
        rows, squared = nearest_rows(vectors, centroids, count)
        far = squared.astype(np.float64)
        if softness > 0:
            weights = np.exp(-(far - far[:, :1]) / (2 * softness))
        else:
            weights = (np.arange(count) == 0).astype(np.float64) + np.zeros_like(far)
        weights *= count / weights.sum(axis=1, keepdims=True)
        offsets = np.arange(0, len(vectors) * count + 1, count)
        whole = sparse.csr_array((weights.ravel(), rows.ravel(), offsets), shape=(len(vectors), len(centroids)))
        whole.eliminate_zeros()
        whole.sort_indices()
        return whole


def learn_words(
    vectors: NDArray[np.floating],
    sizes: Sequence[int] = (64, 256, 1024),
    nearest: int = 5,
    seed: int = 0,
    progress: Progress = silent,
) -> Words:
    """Learn vocabularies by k-means.

    Args:
        vectors: embeddings, float32 (n, d); best those of other photos than are searched.
        sizes: words of each vocabulary; those larger than ``n`` are an error.
        nearest: m, words of one vocabulary in a bag.
        seed: the run's seed.
        progress: shows the iterations.

    Raises:
        UsageError: no sizes, a size that is not in [1, n], or ``nearest`` below 1.
    """
    vectors = checked(vectors, "Embeddings")
    if not sizes or nearest < 1 or not all(1 <= size <= len(vectors) for size in sizes):
        raise UsageError(
            f"Visual words need vocabularies of 1 to {len(vectors)} words (as many as photos) and at least one nearest "
            f"word; got sizes {tuple(sizes)}, nearest {nearest}."
        )
    centroids, softness = [], []
    for size in sizes:
        found = fit_kmeans(vectors, size, seed, 1, 25, progress)
        centroids.append(found.centroids)
        _, squared = nearest_rows(vectors, found.centroids, 1)
        softness.append(float(squared.mean()) / 2)
    return Words(tuple(centroids), tuple(softness), nearest)


def ranking_of(
    score: Callable[[Bags], sparse.csr_array],
    bags: Bags,
    photos: int,
    n: int,
    exclude: NDArray[np.integer] | None = None,
    threads: int = 0,
) -> Ranking:
    """Return the ``n`` photos of the highest scores; photos without a shared word have score 0; ties by row.

    Args:
        score: gives the scores of some queries' bags, not negative, (b, photos), each row without regard to the others.
        bags: of all queries, (q, words); scored :data:`QUERIES_AT_ONCE` at a time.
        photos: in the gallery, fewer than 2**32.
        n: results; all there are where the gallery holds fewer.
        exclude: gallery row left out of each query's results, or -1; int64 (q,).
        threads: 0 means one per core; never changes a result.

    Returns:
        A ranking whose distances are minus the scores; ``scanned`` counts the photos that share a word.
    """
    queries = bags.shape[0]
    left_out = np.full(queries, -1, np.int64) if exclude is None else np.asarray(exclude, np.int64)
    if left_out.shape != (queries,) or (queries and not -1 <= left_out.min() <= left_out.max() < photos):
        raise UsageError(f"exclude must be a row of {photos}, or -1, for each of {queries} queries.")
    n = min(n, photos - int(bool((left_out >= 0).any())))
    if n < 1:
        raise UsageError("A search must return at least one result; the gallery is empty or n is below 1.")
    rows, distances = np.empty((queries, n), np.int64), np.empty((queries, n), np.float32)
    scanned = np.zeros(queries, np.int64)

    def work(start: int, stop: int) -> None:
        found = score(bags[start:stop])
        offsets, indices = found.indptr.astype(np.int64), found.indices.astype(np.int64)
        part = slice(start, stop)
        _best(
            offsets,
            indices,
            found.data.astype(np.float32),
            left_out[part],
            photos,
            rows[part],
            distances[part],
            scanned[part],
        )

    for _ in over_blocks(queries, QUERIES_AT_ONCE, work, threads):
        pass
    return Ranking(rows, distances, scanned, np.zeros(queries, np.int64))


@numba.njit(nogil=True, cache=True)
def _best(offsets, indices, scores, left_out, photos, rows, distances, scanned):  # type: ignore[no-untyped-def]
    bits = scores.view(np.uint32)
    listed = np.zeros(photos, np.bool_)
    keys = np.empty(photos, np.uint64)
    n = rows.shape[1]
    for q in range(rows.shape[0]):
        count = 0
        if left_out[q] >= 0:
            listed[left_out[q]] = True
        for p in range(offsets[q], offsets[q + 1]):
            row = indices[p]
            if row != left_out[q]:
                scanned[q] += 1
                if scores[p] > 0:  # the bits of a positive float32 order like the number
                    keys[count] = ((_ROW - np.uint64(bits[p])) << _SHIFT) | np.uint64(row)
                    listed[row] = True
                    count += 1
        sort_smallest(keys[:count], min(n, count))
        for place in range(min(n, count)):
            rows[q, place] = np.int64(keys[place] & _ROW)
            distances[q, place] = -_number(_ROW - (keys[place] >> _SHIFT))
        place, row = count, 0
        while place < n:  # photos of score 0, by row
            if not listed[row]:
                rows[q, place], distances[q, place] = row, 0.0
                place += 1
            row += 1
        for p in range(offsets[q], offsets[q + 1]):
            listed[indices[p]] = False
        if left_out[q] >= 0:
            listed[left_out[q]] = False


@numba.njit(nogil=True, cache=True)
def _number(bits):  # type: ignore[no-untyped-def]
    one = np.empty(1, np.uint32)
    one[0] = np.uint32(bits)
    return one.view(np.float32)[0]


def checked_bags(bags: sparse.csr_array, what: str, words: int | None = None) -> Bags:
    """Return a copy of bags as float64 rows, without zeros, words in order.

    Raises:
        UsageError: they are no matrix of ``words`` columns, or hold negative or non-finite counts.
    """
    if bags.ndim != 2 or (words is not None and bags.shape[1] != words):
        raise UsageError(f"{what} must be bags of {words or 'some'} words, (photos, words); got shape {bags.shape}.")
    whole: Bags = bags.tocsr().astype(np.float64)
    if whole.nnz and not (np.isfinite(whole.data).all() and whole.data.min() >= 0):
        raise UsageError(f"{what} hold counts that are negative or not finite.")
    whole.sum_duplicates()
    whole.eliminate_zeros()
    return whole
