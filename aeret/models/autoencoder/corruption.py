"""Corrupt the input of a denoising autoencoder (Vincent et al. 2008)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops, random

from aeret.registry import lookup


def masking(masks: Any, rate: float, seed: Any) -> Any:
    """Set a share ``rate`` of all elements (cell and channel) to 0."""
    return ops.where(_chosen(masks, rate, seed), 0.0, masks)


def salt_and_pepper(masks: Any, rate: float, seed: Any) -> Any:
    """Set a share ``rate`` of all elements (cell and channel) to 0 or 1, each with probability 1/2."""
    noise = ops.cast(random.uniform(ops.shape(masks), seed=seed) < 0.5, masks.dtype)
    return ops.where(_chosen(masks, rate, seed), noise, masks)


def blocks(masks: Any, rate: float, seed: Any) -> Any:
    """Blank one square of each mask, in all channels: a share ``rate`` of the area, anywhere inside."""
    batch = ops.shape(masks)[0]
    inside: Any = None
    for axis in (1, 2):
        side = int(masks.shape[axis])
        length = round(side * rate**0.5)
        start = ops.floor(random.uniform((batch, 1), seed=seed) * (side - length + 1))
        place = ops.cast(ops.arange(side), "float32")[None]
        within = ops.logical_and(place >= start, place < start + length)
        within = ops.reshape(within, (-1, side, 1, 1) if axis == 1 else (-1, 1, side, 1))
        inside = within if inside is None else ops.logical_and(inside, within)
    return ops.where(inside, 0.0, masks)


CORRUPTIONS: dict[str, Callable[[Any, float, Any], Any]] = {
    "masking": masking,
    "salt-pepper": salt_and_pepper,
    "blocks": blocks,
}
"""(masks (b, h, w, channels), rate, SeedGenerator) -> the same shape."""


class Corruption(keras.layers.Layer):
    """Damage masks while training; leave them alone otherwise.

    Args:
        kind: a key of :data:`CORRUPTIONS`, or ``none``.
        rate: share of the mask that is damaged, in [0, 1].
        seed: 31-bit; the layer's own stream, a variable that checkpoints keep.
    """

    def __init__(self, kind: str, rate: float, seed: int, **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self._damage = None if kind == "none" else lookup(CORRUPTIONS, kind, "corruption")
        self._rate = rate
        self._seed = random.SeedGenerator(seed)

    def call(self, masks: Any, training: bool = False) -> Any:
        """Return float32 masks of the same shape."""
        if self._damage is None or not training or self._rate == 0:
            return masks
        return self._damage(masks, self._rate, self._seed)


def _chosen(masks: Any, rate: float, seed: Any) -> Any:
    return random.uniform(ops.shape(masks), seed=seed) < rate
