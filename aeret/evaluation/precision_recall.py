"""Precision, recall, F and hit rate at N, per query.

A query without any relevant photo in the gallery is NaN in every measure: it is skipped, and counted as skipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
Values = NDArray[np.float64]


def precision_at(hits: Hits, relevant: Counts, n: int) -> Values:
    """Return hits among the first ``n`` results over ``n``, float64 (q,).

    Args:
        hits: whether each result is relevant, best first, bool (q, N).
        relevant: relevant photos in the gallery, the query itself not counted, int64 (q,).
        n: results looked at. The denominator is ``n`` even where the gallery holds fewer.
    """
    return _skip(_found(hits, n) / n, relevant)


def recall_at(hits: Hits, relevant: Counts, n: int) -> Values:
    """Return hits among the first ``n`` results over all relevant photos, float64 (q,)."""
    return _skip(_found(hits, n) / np.maximum(relevant, 1), relevant)


def capped_recall_at(hits: Hits, relevant: Counts, n: int) -> Values:
    """Return hits among the first ``n`` results over ``min(n, relevant)``, the most there could be, float64 (q,).

    Where thousands are relevant, R@n cannot get beyond n over thousands; this one always reaches 1.
    """
    return _skip(_found(hits, n) / np.maximum(np.minimum(n, relevant), 1), relevant)


def f_at(hits: Hits, relevant: Counts, n: int) -> Values:
    """Return the harmonic mean of each query's P@n and R@n, ``2 hits / (n + relevant)``, float64 (q,); 0 for no hit."""
    return _skip(2 * _found(hits, n) / (n + relevant), relevant)


def hit_at(hits: Hits, relevant: Counts, n: int) -> Values:
    """Return 1 where any of the first ``n`` results is relevant, else 0, float64 (q,)."""
    return _skip((_found(hits, n) > 0).astype(np.float64), relevant)


def class_precision_at(
    rows: NDArray[np.int64], query_labels: Hits, gallery_labels: Hits, relevant: Counts, n: int
) -> Values:
    """Return, per query and own class, the share of the first ``n`` results that hold the class.

    Args:
        rows: gallery rows, best first, int64 (q, N).
        query_labels: bool (q, c).
        gallery_labels: bool (g, c).
        relevant: gallery photos of each class, the query itself not counted, int64 (q, c).
        n: results looked at.

    Returns:
        float64 (q, c); NaN where the query has not the class or no other photo has it.
    """
    shares = np.zeros(query_labels.shape)
    for column in range(min(n, rows.shape[1])):
        shares += gallery_labels[rows[:, column]]
    shares /= n
    shares[~query_labels | (relevant == 0)] = np.nan
    return shares


def _found(hits: Hits, n: int) -> NDArray[np.int64]:
    if n < 1:
        raise UsageError(f"A cut-off must be at least 1, got {n}.")
    return np.asarray(np.count_nonzero(hits[:, :n], axis=1), np.int64)


def _skip(values: NDArray[Any], relevant: Counts) -> Values:
    return np.where(relevant > 0, values, np.nan)
