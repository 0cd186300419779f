"""Describe photos by small copies of them along the principal axes of *train*.

Torralba, Fergus, Freeman, "80 million tiny images", PAMI 2008; here 16 x 16 pixels in colour.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from PIL import Image

from aeret.embeddings.classic.feature import ClassicFeature, Photos, Vectors
from aeret.embeddings.classic.principal_axes import fit_principal_axes, project_on_axes

_SIDE = 16


def _describe(photos: Photos) -> Vectors:
    small = [Image.fromarray(each).resize((_SIDE, _SIDE), Image.Resampling.BOX) for each in photos]
    return (np.stack([np.asarray(each).ravel() for each in small]) / np.float32(255)).astype(np.float32)


THUMBNAIL_PCA = ClassicFeature(
    "Torralba, Fergus, Freeman, 80 million tiny images, PAMI 2008",
    _describe,
    fit=partial(fit_principal_axes, count=128),
    project=project_on_axes,
)
