"""BM25 over an inverted index of words (Robertson & Zaragoza, "The probabilistic relevance framework", 2009).

For a word w of the query with count ``q`` in it, in a photo with count ``f`` of w and a bag of length ``L``::

    score += q * idf(w) * f * (k1 + 1) / (f + k1 * (1 - b + b * L / mean L))
    idf(w) = log(1 + (N - n_w + 0.5) / (n_w + 0.5))

The ``1 +`` keeps idf above 0 for words that more than half of the photos have (as in Lucene); counts may be soft.
All but ``q`` is known before a query comes, so it is stored in the index, and a search is one sparse product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from aeret.errors import UsageError
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.words import checked_bags, ranking_of

K1, B = 1.2, 0.75


@dataclass(frozen=True)
class Bm25:
    """An inverted index with BM25 weights."""

    postings: sparse.csr_array
    """float64 (words, photos): what each word adds to each photo's score, for a count of 1 in the query."""

    @classmethod
    def build(cls, bags: sparse.csr_array, k1: float = K1, b: float = B) -> Bm25:
        """Index photos.

        Args:
            bags: counts of words, (photos, words).
            k1: how soon further counts of one word stop to matter; 0 looks at presence alone.
            b: how much long bags are held against a photo, in [0, 1].

        Raises:
            UsageError: counts are negative, there are no photos, or a parameter is out of range.
        """
        counts = checked_bags(bags, "Photos to index")
        if not (np.isfinite(k1) and k1 >= 0 and 0 <= b <= 1):
            raise UsageError(f"BM25 needs k1 >= 0 and b in [0, 1]; got k1={k1}, b={b}.")
        photos = counts.shape[0]
        if not photos:
            raise UsageError("An inverted index needs at least one photo, got none.")
        length = np.asarray(counts.sum(axis=1)).ravel()
        mean = length.mean() or 1.0
        having = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = np.log1p((photos - having + 0.5) / (having + 0.5))
        saturation = np.repeat(k1 * (1 - b + b * length / mean), np.diff(counts.indptr))
        weights = idf[counts.indices] * counts.data * (k1 + 1) / (counts.data + saturation)
        index = sparse.csr_array((weights, counts.indices, counts.indptr), shape=counts.shape)
        return cls(sparse.csr_array(index.T))

    def scores(self, queries: sparse.csr_array) -> sparse.csr_array:
        """Return the scores of all photos that share a word with a query, float64 (q, photos).

        Raises:
            UsageError: the queries' bags are over another number of words.
        """
        return sparse.csr_array(checked_bags(queries, "Queries", self.postings.shape[0]) @ self.postings)

    def search(
        self, queries: sparse.csr_array, n: int, exclude: NDArray[np.integer] | None = None, threads: int = 0
    ) -> Ranking:
        """Return the ``n`` best photos of each query; ties by row. See :func:`aeret.retrieval.words.ranking_of`."""
        bags = checked_bags(queries, "Queries", self.postings.shape[0])
        return ranking_of(self.scores, bags, self.postings.shape[1], n, exclude, threads)
