"""Normalise over neighbouring channels, on any backend of Keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aeret.errors import UsageError


@keras.saving.register_keras_serializable(package="aeret")
class LocalResponseNormalization(keras.layers.Layer):
    """Divide by the activity of neighbouring channels: ``x / (1 + alpha / size * sum of squares)^beta``.

    The form of Caffe and MatConvNet, over the channels of one position: A. Krizhevsky, I. Sutskever, G. Hinton,
    "ImageNet classification with deep convolutional neural networks", NIPS 2012 (which has 2 in place of 1, and does
    not divide alpha). Has no weights. Computed in float32, whatever the policy.

    The alphas of the papers are for the activations of networks that see photos of about +-128. Photos divided by d
    make activations that are smaller by d, and need alpha d^2 for the same effect; with the paper's alpha the layer is
    then nearly the identity.

    Args:
        size: channels that count for one, itself in the middle; odd. Outside the first and last channel is zero.
        alpha: strength, before it is divided by ``size``.
        beta: power.

    Input shape:
        (batch_size, ..., channels), any float type; also the output shape, in the compute dtype.

    Raises:
        UsageError: ``size`` is even or below 1.
    """

    def __init__(self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, **options: Any) -> None:
        if size < 1 or size % 2 == 0:
            raise UsageError(f"local response normalisation needs an odd number of channels, got size={size}.")
        super().__init__(**{"autocast": False, **options})
        self.size = size
        self.alpha = alpha
        self.beta = beta

    def call(self, inputs: Any) -> Any:
        """Normalise."""
        x = ops.cast(inputs, "float32")
        reach, channels = self.size // 2, x.shape[-1]
        padded = ops.pad(ops.square(x), [[0, 0]] * (len(x.shape) - 1) + [[reach, reach]])
        total = sum(padded[..., shift : shift + channels] for shift in range(self.size))
        return ops.cast(x * ops.power(1.0 + self.alpha / self.size * total, -self.beta), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what Keras needs to make the layer again."""
        config: dict[str, Any] = super().get_config()
        return config | {"size": self.size, "alpha": self.alpha, "beta": self.beta}
