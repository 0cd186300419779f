"""Describe photos by small copies of them along the principal axes of *train*.

Torralba, Fergus, Freeman, "80 million tiny images", PAMI 2008; here 16 x 16 pixels in colour.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image
from sklearn.decomposition import PCA

from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors
from aeret.errors import UsageError

_SIDE, _AXES = 16, 128


def _describe(photos: Photos) -> Vectors:
    small = [Image.fromarray(each).resize((_SIDE, _SIDE), Image.Resampling.BOX) for each in photos]
    return (np.stack([np.asarray(each).ravel() for each in small]) / np.float32(255)).astype(np.float32)


def _fit(described: Vectors) -> dict[str, Vectors]:
    """Return ``mean`` (d,) and orthonormal ``axes`` (d, k), most variance first."""
    if len(described) < 2:
        raise UsageError(f"Principal axes need at least two photos to learn from; got {len(described)}.")
    found = PCA(min(_AXES, described.shape[1], len(described) - 1), svd_solver="covariance_eigh").fit(described)
    return {"mean": found.mean_.astype(np.float32), "axes": found.components_.T.astype(np.float32)}


def _project(described: Vectors, fitted: Mapping[str, Vectors]) -> Vectors:
    return np.asarray((described - fitted["mean"]) @ fitted["axes"], np.float32)


THUMBNAIL_PCA = ClassicFeature(
    "Torralba, Fergus, Freeman, 80 million tiny images, PAMI 2008", _describe, fit=_fit, project=_project
)
