"""Rank photos for a text query by predicted labels and predicted layout.

Both distances are standardised over the gallery and added: ``w_labels * labels + w_layout * layout``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.distances import checked, squared_distances
from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.text.scene import Scene

Floats = NDArray[np.float64]

WEIGHTS: Mapping[str, float] = {"labels": 1.0, "layout": 0.2}
"""Default weights; ``layout`` applies only to queries that state a relation, place, size or count."""


@dataclass(frozen=True)
class TextResult:
    """Ranked gallery for one text query."""

    ranking: Ranking
    """Ranking of one query; distances are weighted sums and may be negative."""
    parts: Mapping[str, Floats]
    """Standardised distances by part, float64 (g,)."""
    weights: Mapping[str, float]
    """The weights used."""


def label_distances(scene: Scene, scores: NDArray[np.floating]) -> Floats:
    """Return the negative log probability that a photo has the right categories, float64 (g,).

    Categories are taken as independent of each other given the photo.

    Args:
        scene: the query, with required and excluded categories.
        scores: logits, float (g, categories).
    """
    wanted = sorted({thing.category for thing in scene.things})
    logits = np.asarray(scores, np.float64)
    # -log sigmoid(z) = log(1 + exp(-z)), without overflow.
    missing = np.logaddexp(0, -logits[:, wanted]).sum(axis=1)
    return np.asarray(missing + np.logaddexp(0, logits[:, list(scene.absent)]).sum(axis=1))


def code_distances(
    layouts: NDArray[np.floating], predicted: NDArray[np.floating], similarity: str = "cosine"
) -> Floats:
    """Return the distance of each photo's predicted code to the query's nearest layout, float64 (g,).

    Args:
        layouts: codes of the query's layouts, float (v, m); two (with the mirror image) if sides do not matter.
        predicted: codes predicted from the photos, float (g, m).
        similarity: ``cosine`` or ``euclidean``.
    """
    own, others = checked(layouts, "Codes of layouts"), checked(predicted, "Predicted codes", layouts.shape[1])
    if similarity == "cosine":
        own, others = l2_normalise(own), l2_normalise(others)
    elif similarity != "euclidean":
        raise UsageError(f"codes are compared by cosine or euclidean, got {similarity!r}.")
    nearest = squared_distances(own, others).min(axis=0).astype(np.float64)
    return np.asarray(nearest / 2 if similarity == "cosine" else np.sqrt(nearest))


def rank(parts: Mapping[str, Floats], n: int, weights: Mapping[str, float] | None = None) -> TextResult:
    """Fuse distances into one ranking; ties go to the lower row.

    Args:
        parts: part name to distances over the gallery, float64 (g,).
        n: number of results, capped at the gallery's size.
        weights: part name to non-negative weight; default :data:`WEIGHTS`.

    Raises:
        UsageError: ``n`` is below 1, a part has no weight, or all weights are 0.
    """
    weights = dict(WEIGHTS if weights is None else weights)
    if n < 1:
        raise UsageError(f"A search returns at least one result; got n={n}.")
    if missing := [name for name in parts if name not in weights]:
        raise UsageError(f"No weight is given for {', '.join(missing)}; the weights name {', '.join(weights)}.")
    used = {name: weights[name] for name in parts}
    if not all(np.isfinite(each) and each >= 0 for each in used.values()) or not any(used.values()):
        raise UsageError(f"Weights must be at least 0 and not all 0; got {used}.")
    standard = {name: standardised(values) for name, values in parts.items()}
    total = sum((weight * standard[name] for name, weight in used.items()), np.float64(0))
    distances = np.asarray(total, np.float32)
    rows = np.argsort(distances, kind="stable")[:n]
    count = np.array([len(distances)], np.int64)
    ranking = Ranking(rows[None].astype(np.int64), distances[rows][None], count, np.zeros(1, np.int64))
    return TextResult(ranking, standard, used)


def standardised(values: NDArray[np.floating]) -> Floats:
    """Return values with mean 0 and standard deviation 1, float64 (g,); zeros if they are constant."""
    whole = np.asarray(values, np.float64)
    spread = whole.std() if len(whole) else 0.0
    return np.asarray((whole - whole.mean()) / spread if spread > 1e-12 else np.zeros(len(whole)))
