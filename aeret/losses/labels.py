"""Compare logits with label sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

LabelLoss = Callable[[Any, Any, float], Any]
"""(labels float32 (b, C) in {0, 1}, logits float32 (b, C), smoothing in [0, 1)) -> scalar."""


def binary_cross_entropy(labels: Any, logits: Any, smoothing: float) -> Any:
    """Mean over photos and labels of the sigmoid cross-entropy, for photos with any number of labels.

    Smoothing s pulls each target to the middle: y (1 - s) + s / 2.
    """
    targets = labels * (1 - smoothing) + smoothing / 2
    # max(z, 0) - z y + log(1 + exp(-|z|)) is the cross-entropy without overflow.
    return ops.mean(ops.relu(logits) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits))))


def softmax_cross_entropy(labels: Any, logits: Any, smoothing: float) -> Any:
    """Mean over photos of the softmax cross-entropy, for photos with one label each.

    A photo with several labels shares its mass equally among them, one with none counts nothing. Smoothing s mixes in
    the uniform distribution: y (1 - s) + s / C (Szegedy et al. 2016).
    """
    mass = ops.sum(labels, axis=-1, keepdims=True)
    targets = labels / ops.maximum(mass, 1.0)
    targets = targets * (1 - smoothing) + ops.minimum(mass, 1.0) * smoothing / labels.shape[-1]
    return -ops.mean(ops.sum(targets * ops.log_softmax(logits), axis=-1))


LABEL_LOSSES: dict[str, LabelLoss] = {"bce": binary_cross_entropy, "softmax": softmax_cross_entropy}
