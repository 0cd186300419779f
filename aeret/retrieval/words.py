"""Photos as bags of visual words, and the inverted index over them (Sivic & Zisserman, "Video Google", ICCV 2003).

A visual word here is a centroid of k-means over *photo embeddings*, learnt on the train photos or the gallery: the
product keeps one vector a photo and no local features. A photo's bag has, for each vocabulary (one a granularity, say
k = 64, 256, 1024), its ``m`` nearest words with soft counts that sum to ``m``: weights ``exp(-d^2 / (2 s^2))`` over
those m, with s^2 half the mean squared distance to the nearest word (Philbin et al., "Lost in quantization", CVPR
2008). Coarse words give recall, fine ones precision; the ranking function weighs them by how rare they are.

A bag is a row of a ``scipy.sparse`` matrix; its transpose by column is the inverted index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aeret.clustering.kmeans import fit_kmeans
from aeret.embeddings.distances import Vectors, checked, nearest_rows
from aeret.errors import UsageError
from aeret.progress import Progress, silent
from aeret.retrieval.ranking import Ranking

Bags = sparse.csr_array
"""Counts of words, float64 (photos, words)."""


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


def ranking_of(scores: sparse.csr_array, n: int, exclude: NDArray[np.integer] | None = None) -> Ranking:
    """Return the ``n`` photos of the highest scores; photos without a shared word have score 0; ties by row.

    Args:
        scores: of queries, not negative, float64 (q, g).
        n: results; all there are where the gallery holds fewer.
        exclude: gallery row left out of each query's results, or -1; int64 (q,).

    Returns:
        A ranking whose distances are minus the scores; ``scanned`` counts the photos that share a word.
    """
    queries, gallery = scores.shape
    left_out = np.full(queries, -1, np.int64) if exclude is None else np.asarray(exclude, np.int64)
    n = min(n, gallery - int(bool((left_out >= 0).any())))
    if n < 1:
        raise UsageError("A search must return at least one result; the gallery is empty or n is below 1.")
    rows, distances = np.empty((queries, n), np.int64), np.empty((queries, n), np.float32)
    scanned = np.zeros(queries, np.int64)
    for query in range(queries):
        found = scores.indices[scores.indptr[query] : scores.indptr[query + 1]]
        dense = np.zeros(gallery, np.float32)
        dense[found] = -scores.data[scores.indptr[query] : scores.indptr[query + 1]]
        if left_out[query] >= 0:
            dense[left_out[query]] = np.inf
        rows[query] = np.argsort(dense, kind="stable")[:n]
        distances[query] = dense[rows[query]]
        scanned[query] = np.count_nonzero(found != left_out[query])
    return Ranking(rows, distances, scanned, np.zeros(queries, np.int64))


def checked_bags(bags: sparse.csr_array, what: str, words: int | None = None) -> Bags:
    """Return bags as float64 rows.

    Raises:
        UsageError: they are no matrix of ``words`` columns, or hold negative or non-finite counts.
    """
    if bags.ndim != 2 or (words is not None and bags.shape[1] != words):
        raise UsageError(f"{what} must be bags of {words or 'some'} words, (photos, words); got shape {bags.shape}.")
    whole: Bags = bags.tocsr().astype(np.float64)
    if whole.nnz and not (np.isfinite(whole.data).all() and whole.data.min() >= 0):
        raise UsageError(f"{what} hold counts that are negative or not finite.")
    return whole
