"""Rank predicted codes by their nearness to the code of a photo's own mask.

The own photo is the one right answer. Photos whose codes are exactly as near count as before it: a head that predicts
one code for every photo comes last, not first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import checked, squared_distances
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError

_BLOCK = 64
SIMILARITIES = ("cosine", "euclidean", "dot", "hamming")


@dataclass(frozen=True)
class LayoutCodes:
    """Normalised latent codes of the query photos."""

    own: NDArray[np.float32]
    """Code of each photo's own mask, float32 (q, m)."""
    predicted: NDArray[np.float32]
    """Code predicted from each photo alone, float32 (q, m)."""

    def of(self, photos: NDArray[np.bool_]) -> LayoutCodes:
        """Return the codes of some photos, bool (q,)."""
        return LayoutCodes(self.own[photos], self.predicted[photos])


def own_ranks(
    codes: LayoutCodes, similarity: str = "cosine", candidates: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """Return the rank, from 1, of each photo's predicted code for its own mask's code, int32 (q,).

    Args:
        codes: of the same photos in the same order.
        similarity: ``cosine``, ``euclidean``, ``dot``, or ``hamming``: of the signs of the codes, which
            needs a normalisation that centres them (not ``minmax``).
        candidates: photos that are ranked, bool (q,); all by default. A photo that is not among them ranks 0.

    Raises:
        UsageError: codes of different shapes, or an unknown similarity.
    """
    if similarity not in SIMILARITIES:
        raise UsageError(f"layout similarity must be one of {', '.join(SIMILARITIES)}; got {similarity!r}.")
    own, predicted = checked(codes.own, "Codes of masks"), checked(codes.predicted, "Predicted codes")
    if own.shape != predicted.shape:
        raise UsageError(f"Codes of masks {own.shape} and predicted codes {predicted.shape} must have the same shape.")
    if similarity == "cosine":
        own, predicted = l2_normalise(own), l2_normalise(predicted)
    elif similarity == "hamming":  # the squared distance of zeros and ones counts the bits that differ
        own, predicted = (own > 0).astype(np.float32), (predicted > 0).astype(np.float32)
    rows = np.arange(len(own)) if candidates is None else np.flatnonzero(candidates)
    pool = predicted[rows]
    ranks = np.zeros(len(own), np.int32)
    for start in range(0, len(rows), _BLOCK):
        some = rows[start : start + _BLOCK]
        # Unlike a matrix product, einsum adds every pair up in one order, so that equal codes tie.
        dot = similarity == "dot"
        far = -np.einsum("qm,pm->qp", own[some], pool) if dot else squared_distances(own[some], pool)
        mine = far[np.arange(len(some)), np.arange(start, start + len(some))]
        ranks[some] = (far <= mine[:, None]).sum(axis=1)  # the own photo and every tie
    return ranks


def code_r2(codes: LayoutCodes) -> float:
    """Return the share of the codes' variance that the predictions explain, all dimensions together.

    1 for perfect predictions, 0 for predicting the mean code, below 0 for worse; NaN when the codes do not vary.
    """
    own, predicted = codes.own.astype(np.float64), codes.predicted.astype(np.float64)
    spread = ((own - own.mean(axis=0)) ** 2).sum() if len(own) else 0.0
    return float(1 - ((predicted - own) ** 2).sum() / spread) if spread else float("nan")
