"""Normalise over the batch by TensorFlow's fused operation."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """``keras.layers.BatchNormalization`` over the last axis of a map, computed by ``FusedBatchNormV3``.

    Same variables and same result; the moving variance follows the unbiased variance of the batch, as in PyTorch.

    Input shape:
        (batch_size, height, width, channels), in the compute dtype; also the output shape.
    """

    def __init__(self, **options: Any) -> None:
        # Without autocast, scale and statistics stay float32 under a bfloat16 policy.
        super().__init__(autocast=False, **options)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalise with the batch's statistics when training, with the moving ones otherwise."""
        learning = bool(training) and self.trainable
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=tf.cast(inputs, self.compute_dtype),
            scale=self.gamma.value,
            offset=self.beta.value,
            # The operation wants them empty when it computes them itself.
            mean=self.moving_mean.value if not learning else tf.zeros([0]),
            variance=self.moving_variance.value if not learning else tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=learning,
        )
        if learning:
            keep = self.momentum
            self.moving_mean.assign(keep * self.moving_mean.value + (1 - keep) * mean)
            self.moving_variance.assign(keep * self.moving_variance.value + (1 - keep) * variance)
        return outputs
