"""Normalise over the batch, fused where the backend can (Ioffe and Szegedy 2015)."""

from __future__ import annotations

from typing import Any

import keras


def batch_norm(name: str, momentum: float = 0.9) -> Any:
    """Return a batch-normalisation layer with the epsilon and momentum of the ResNet paper's code (1e-5, 0.9).

    Keras computes moments and scaling as separate float32 operations; on TensorFlow the fused operation halves the time
    of a whole ResNet training step in bfloat16 on CPU. Statistics are float32 in both. The mean and variance of a batch
    of a few photos say little: keep ``batch_size`` at 16 or more.
    """
    if keras.backend.backend() == "tensorflow":
        from aeret.models.layers.batch_norm_tensorflow import FusedBatchNormalization

        return FusedBatchNormalization(momentum=momentum, epsilon=EPSILON, name=name)
    return keras.layers.BatchNormalization(momentum=momentum, epsilon=EPSILON, name=name)


EPSILON = 1.001e-5
"""1e-5, as far as the fused operation of GPUs allows."""
