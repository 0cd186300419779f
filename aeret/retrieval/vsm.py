"""The vector space model: bags of words by tf-idf, compared by cosine (Salton, Wong & Yang 1975).

A word with count ``f`` in a photo weighs ``f * idf`` (or ``(1 + log f) * idf``, sublinear, for f >= 1; f below 1 stays
as it is), with ``idf = 1 + log((1 + N) / (1 + n_w))``, as scikit-learn's ``TfidfTransformer`` does; vectors have unit
length. Queries are weighed by the photos' idf.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aeret.errors import UsageError
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.words import checked_bags, ranking_of


@dataclass(frozen=True)
class VectorSpace:
    """An inverted index with tf-idf weights."""

    postings: sparse.csr_array
    """float64 (words, photos): unit vectors of the photos, by word."""
    idf: NDArray[np.float64]
    """float64 (words,)."""
    sublinear: bool

    @classmethod
    def build(cls, bags: sparse.csr_array, sublinear: bool = False) -> VectorSpace:
        """Index photos.

        Args:
            bags: counts of words, (photos, words).
            sublinear: dampen counts above 1 by the logarithm.

        Raises:
            UsageError: counts are negative, or there are no photos.
        """
        counts = checked_bags(bags, "Photos to index")
        if not counts.shape[0]:
            raise UsageError("An inverted index needs at least one photo, got none.")
        having = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = 1 + np.log((1 + counts.shape[0]) / (1 + having))
        return cls(sparse.csr_array(_weighted(counts, idf, sublinear).T), idf, sublinear)

    def scores(self, queries: sparse.csr_array) -> sparse.csr_array:
        """Return the cosines of all photos that share a word with a query, float64 (q, photos).

        Raises:
            UsageError: the queries' bags are over another number of words.
        """
        counts = checked_bags(queries, "Queries", len(self.idf))
        return sparse.csr_array(_weighted(counts, self.idf, self.sublinear) @ self.postings)

    def search(
        self, queries: sparse.csr_array, n: int, exclude: NDArray[np.integer] | None = None, threads: int = 0
    ) -> Ranking:
        """Return the ``n`` best photos of each query; ties by row. See :func:`aeret.retrieval.words.ranking_of`."""
        bags = checked_bags(queries, "Queries", len(self.idf))
        return ranking_of(self.scores, bags, self.postings.shape[1], n, exclude, threads)


def _weighted(counts: sparse.csr_array, idf: NDArray[np.float64], sublinear: bool) -> sparse.csr_array:
    data = np.where(counts.data >= 1, 1 + np.log(np.maximum(counts.data, 1)), counts.data) if sublinear else counts.data
    weights = data * idf[counts.indices]
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    length = np.sqrt(np.bincount(rows, weights**2, minlength=counts.shape[0]))
    return sparse.csr_array((weights / length[rows], counts.indices, counts.indptr), shape=counts.shape)
