"""Test whether one clustering has a better pairwise F than another, by a paired bootstrap over photos.

Pairwise F is a ratio of sums over pairs, so photos, not pairs, are what is drawn: a photo drawn w times takes part in
each of its pairs w times, and a pair of draws of one photo is left out. Both clusterings see the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.evaluation.significance import bootstrap_weights
from aeret.rng import generator

Assignments = Sequence[NDArray[np.integer]]
_MOST = 4_000
"""Photos at most, drawn at random: the matrix of all pairs must fit into memory."""


@dataclass(frozen=True)
class FDifference:
    """Candidate minus baseline, each a mean over its clusterings (seeds)."""

    difference: float
    """Of the photos that were drawn from, at most 4,000."""
    low: float
    high: float
    """95 % percentile interval over draws of photos."""
    p: float
    """Two-sided, of the bootstrap shifted to no difference (Smucker, Allan, Carterette, CIKM 2007)."""


def f_difference(
    labels: NDArray[np.bool_], baseline: Assignments, candidate: Assignments, resamples: int = 2_000, seed: int = 0
) -> FDifference:
    """Compare two arms of clusterings of the same photos by pairwise F (see :mod:`aeret.evaluation.pairs`).

    Args:
        labels: bool (n, categories).
        baseline: clusters of the photos, integers (n,), one clustering a seed.
        candidate: likewise.
        resamples: draws of photos.
        seed: of the draws.

    Raises:
        UsageError: no clustering, or one of other photos.
    """
    arms = {"baseline": baseline, "candidate": candidate}
    for name, arm in arms.items():
        if not len(arm) or any(each.shape != (len(labels),) for each in arm):
            shapes = [each.shape for each in arm]
            raise UsageError(f"{len(labels)} photos need one cluster each; the {name}'s clusterings are {shapes}.")
    chosen = np.arange(len(labels))
    if len(chosen) > _MOST:
        chosen = np.sort(generator(seed, "pair bootstrap", "photos").choice(len(labels), _MOST, replace=False))
    own = labels[chosen].astype(np.float32)
    relevant = (own @ own.T > 0).astype(np.float32)
    np.fill_diagonal(relevant, 0)
    joined = [[_joined(each[chosen], relevant) for each in arm] for arm in (baseline, candidate)]
    whole = np.ones((1, len(chosen)), np.float32)
    observed = _f(whole, relevant, joined)[0]
    draws = []
    for weights in bootstrap_weights(len(chosen), resamples, generator(seed, "pair bootstrap")):
        draws.append(_f(np.asarray(weights, np.float32), relevant, joined))
    differences = np.concatenate(draws)
    low, high = np.quantile(differences, [0.025, 0.975])
    extreme = np.abs(differences - differences.mean()) >= abs(observed)
    p = (1 + int(extreme.sum())) / (len(differences) + 1)
    return FDifference(float(observed), float(low), float(high), float(p))


Pairs = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Pairs in one cluster, and those of them that are relevant, float32 (n, n) each."""


def _joined(assignment: NDArray[np.integer], relevant: NDArray[np.float32]) -> Pairs:
    same: NDArray[np.float32] = (assignment[:, None] == assignment[None, :]).astype(np.float32)
    np.fill_diagonal(same, 0)
    return same, same * relevant


def _f(weights: NDArray[np.float32], relevant: NDArray[np.float32], joined: list[list[Pairs]]) -> NDArray[np.float64]:
    """Return mean F of the candidate minus that of the baseline for each row of weights (b, n), float64 (b,)."""
    related = _pairs(weights, relevant)
    means = []
    for arm in joined:
        values = []
        for same, hits in arm:
            both, together = _pairs(weights, hits), _pairs(weights, same)
            values.append(np.where(both > 0, 2 * both / np.maximum(related + together, 1), 0.0))
        means.append(np.mean(values, axis=0))
    return np.asarray(means[1] - means[0], np.float64)


def _pairs(weights: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.einsum("bn,bn->b", (weights @ matrix).astype(np.float64), weights.astype(np.float64))
    return sums / 2
