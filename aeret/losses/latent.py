"""Compare predicted codes with the codes of the masks.

Each loss is a mean over the batch and, if it has any, over dimensions. (Caffe's EuclideanLoss is m / 2 times ``mse``.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

LatentLoss = Callable[[Any, Any, float], Any]
"""(codes float32 (b, m), predicted float32 (b, m), temperature) -> scalar."""


def mean_squared_error(codes: Any, predicted: Any, temperature: float) -> Any:
    """Mean of the squared differences."""
    return ops.mean(ops.square(predicted - codes))


def huber(codes: Any, predicted: Any, temperature: float) -> Any:
    """Mean of d^2 / 2 for |d| <= 1 and |d| - 1/2 beyond (Huber 1964): outlying units of a code pull less."""
    distance = ops.abs(predicted - codes)
    near = ops.minimum(distance, 1.0)
    return ops.mean(near * (distance - near / 2))


def cosine(codes: Any, predicted: Any, temperature: float) -> Any:
    """Mean of 1 - cos of the angle between the two: direction counts, length does not."""
    return ops.mean(1 - ops.sum(_unit(codes) * _unit(predicted), axis=-1))


def contrastive(codes: Any, predicted: Any, temperature: float) -> Any:
    """Symmetric in-batch InfoNCE (van den Oord et al. 2018; Radford et al. 2021, CLIP).

    Cosines between every predicted and every true code of the batch, over the temperature, are logits; the right answer
    of row and of column i is i. A constant prediction costs log(b).
    """
    logits = ops.matmul(_unit(predicted), ops.transpose(_unit(codes))) / temperature
    own = ops.diagonal(logits)
    towards_codes = ops.logsumexp(logits, axis=1) - own
    towards_predicted = ops.logsumexp(logits, axis=0) - own
    return ops.mean(towards_codes + towards_predicted) / 2


def _unit(x: Any) -> Any:
    return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), 1e-12))


LATENT_LOSSES: dict[str, LatentLoss] = {
    "mse": mean_squared_error,
    "huber": huber,
    "cosine": cosine,
    "contrastive": contrastive,
}
