"""What a backbone is in numbers: parameters, map, embedding, speed."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from aeret.models.backbones.backbone import Backbone

CLASSES = 1000
"""Of ImageNet: what the literature's counts of parameters are for."""


@dataclass(frozen=True)
class Description:
    """A backbone at one size of photos."""

    size: int
    """Side of the photos in pixels."""
    parameters: int
    """That training changes, with the network's own classifier of 1,000 classes at this size."""
    map_shape: tuple[int, int, int]
    """Height, width and channels of the map."""
    embedding_size: int
    """Width of what the network's own classifier sees last: fc7, or the mean of the map."""


def describe(backbone: Backbone, size: int) -> Description:
    """Count a backbone's parameters and measure its map.

    Raises:
        UsageError: ``size`` is below what the backbone can take.
    """
    classifier = backbone.outline(size, CLASSES)
    return Description(
        size,
        sum(int(np.prod(variable.shape)) for variable in classifier.trainable_variables),
        tuple(backbone.outline(size).output.shape[1:]),
        classifier.layers[-1].input.shape[-1],
    )


def photos_per_second(backbone: Backbone, size: int, batch: int = 16, passes: int = 3) -> float:
    """Time the map of random photos: the best of a few passes of one batch, in float32, compilation left out.

    Raises:
        UsageError: ``size`` is below what the backbone can take.
    """
    model = backbone.build(size, seed=0)
    photos = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3)).astype(np.float32)
    model.predict_on_batch(photos)
    best = np.inf
    for _ in range(passes):
        start = time.perf_counter()
        model.predict_on_batch(photos)
        best = min(best, time.perf_counter() - start)
    return batch / best
