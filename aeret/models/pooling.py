"""Pool the last map of a backbone into one vector a photo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from aeret.registry import lookup


class GeneralizedMean(keras.layers.Layer):
    """Generalised-mean pooling (GeM): ``mean(x^p)^(1/p)`` over positions, with one learnt p >= 1.

    p = 1 is the mean, p -> infinity the maximum; towards p = 0 the power 1/p would overflow. F. Radenovic, G. Tolias,
    O. Chum, "Fine-tuning CNN image retrieval with no human annotation", TPAMI 2019. Computed in float32.

    Args:
        initial: p at the start, 3 in the paper.
        epsilon: values are cut at this from below, so that powers and gradients exist.

    Input shape:
        (batch_size, height, width, channels)

    Output shape:
        (batch_size, channels)
    """

    def __init__(self, initial: float = 3.0, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self.initial = initial
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        """Make p."""
        initial = keras.initializers.Constant(self.initial)
        # Constrained, not only cut in call(): below the cut p would have no gradient and never come back.
        self.p = self.add_weight(name="p", shape=(), initializer=initial, constraint=_at_least_one)

    def call(self, inputs: Any) -> Any:
        """Pool over height and width."""
        p = _at_least_one(self.p)
        # By logarithms: a power overflows float32 where p has grown, and the largest value can be taken out first.
        logs = keras.ops.log(keras.ops.maximum(inputs, self.epsilon)) * p
        count = keras.ops.cast(inputs.shape[1] * inputs.shape[2], "float32")
        return keras.ops.exp((keras.ops.logsumexp(logs, axis=(1, 2)) - keras.ops.log(count)) / p)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch_size, channels)."""
        return (input_shape[0], input_shape[-1])


def _at_least_one(p: Any) -> Any:
    return keras.ops.maximum(p, 1.0)


def pool(x: Any, name: str) -> Any:
    """Pool a map (b, h, w, channels) to float32 (b, d): d is channels, or h w channels for ``flat`` and ``fc``.

    Raises:
        UnknownNameError: ``name`` is no pooling.
    """
    return lookup(POOLINGS, name, "pooling")()(x)


POOLINGS: dict[str, Callable[[], Any]] = {
    "gap": lambda: keras.layers.GlobalAveragePooling2D(dtype="float32", name="pool"),
    "gem": lambda: GeneralizedMean(name="pool"),
    "flat": lambda: keras.layers.Flatten(dtype="float32", name="pool"),
    "fc": lambda: keras.layers.Flatten(name="pool"),  # what comes next is part of the network, in its precision
}
