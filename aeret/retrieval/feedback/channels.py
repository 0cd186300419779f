"""Feature channels of a photo search, and fixed ways to weigh them.

A channel is a cosine similarity: of embeddings (``photo``), of predicted layout codes (``layout``), of predicted label
probabilities (``labels``). Each is brought to mean 0 and standard deviation 1 over the gallery, query by query, so that
a weight means the same for all.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError

CHANNELS = ("photo", "layout", "labels")
Vectors = NDArray[np.float32]


def channel_vectors(embeddings: Vectors, codes: Vectors, label_scores: Vectors) -> dict[str, Vectors]:
    """Return unit vectors of each channel, float32 (n, .), of an embedding set's parts; label scores are logits."""
    chances = 1 / (1 + np.exp(-np.clip(np.asarray(label_scores, np.float64), -30, 30)))
    return {"photo": l2_normalise(embeddings), "layout": l2_normalise(codes), "labels": l2_normalise(chances)}


def weightings(channels: int, steps: int = 3) -> NDArray[np.float64]:
    """Return all weights that are multiples of ``1 / steps`` and sum to 1, float64 (arms, channels); equal ones first.

    Raises:
        UsageError: no channels, or ``steps`` below 1.
    """
    if channels < 1 or steps < 1:
        raise UsageError(f"weightings need channels and at least one step; got {channels} and {steps}.")
    grid = [each for each in itertools.product(range(steps + 1), repeat=channels) if sum(each) == steps]
    weights = [[1 / channels] * channels] + [[part / steps for part in each] for each in grid]
    return np.array(list(dict.fromkeys(map(tuple, weights))))


def ranked(
    queries: Mapping[str, Vectors],
    gallery: Mapping[str, Vectors],
    weights: NDArray[np.float64],
    n: int,
    exclude: NDArray[np.int64],
    block: int = 128,
) -> NDArray[np.int64]:
    """Return the first ``n`` gallery rows of each query under each weighting, int64 (arms, q, n); ties by row.

    Args:
        queries: channel to unit vectors (q, .).
        gallery: channel to unit vectors (g, .), the same channels.
        weights: float64 (arms, channels), in the order of the channels.
        n: results, fewer than the gallery holds.
        exclude: gallery row left out of each query's results, or -1; int64 (q,).
        block: queries at a time; bounds the memory at ``block * g`` similarities a channel, beside the gallery's
            vectors in float64.

    Raises:
        UsageError: the channels differ, or ``n`` is not in 1 to the number of photos.
    """
    names = list(queries)
    if names != list(gallery) or weights.shape[1] != len(names):
        raise UsageError(f"channels {names} of queries, {list(gallery)} of the gallery and weights do not fit.")
    count, size = len(exclude), len(gallery[names[0]])
    if not 1 <= n <= size - int(bool((exclude >= 0).any())):
        raise UsageError(f"a gallery of {size} photos has no {n} results a query.")
    found = np.empty((len(weights), count, n), np.int64)
    wide = {name: np.asarray(gallery[name], np.float64) for name in names}
    for start in range(0, count, block):
        stop = min(start + block, count)
        similar = np.stack([queries[name][start:stop].astype(np.float64) @ wide[name].T for name in names])
        similar -= similar.mean(axis=2, keepdims=True)
        similar /= np.maximum(similar.std(axis=2, keepdims=True), 1e-12)
        own = np.flatnonzero(exclude[start:stop] >= 0)
        for arm, weight in enumerate(weights):
            far = np.einsum("c,cqg->qg", -weight, similar)
            far[own, exclude[start:stop][own]] = np.inf
            found[arm, start:stop] = _first(far, n)
    return found


def _first(distances: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Return the columns of the ``n`` smallest of each row in order, int64 (q, n); ties by column."""
    size = distances.shape[1]
    last = np.partition(distances, n - 1, axis=1)[:, n - 1 : n]
    rows = np.empty((len(distances), n), np.int64)
    for row, (values, bound) in enumerate(zip(distances, last, strict=True)):
        # All that tie with the last place are there, in order of column, so a stable sort of these few is that of all.
        some = np.flatnonzero(values <= bound) if n < size else np.arange(size)
        rows[row] = some[np.argsort(values[some], kind="stable")[:n]]
    return rows
