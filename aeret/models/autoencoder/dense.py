"""Build the seed paper's three-layer autoencoder (Rumelhart et al. 1986).

``h = s_f(W x + p)``, ``y = s_g(W~ h + q)`` with a sigmoid or identity s_g and, tied, ``W~ = W^T``.
"""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from aeret.models.autoencoder.parts import Halves, code_activation, initial
from aeret.settings import AutoencoderSettings


class TiedDense(keras.layers.Layer):
    """A dense layer whose kernel *is* the transpose of another layer's: one variable, trained from both sides.

    Args:
        source: a built ``Dense`` from n to m units.

    Input shape:
        (batch_size, m).

    Output shape:
        (batch_size, n).
    """

    def __init__(self, source: Any, **options: Any) -> None:
        super().__init__(**options)
        self.source = source
        self.units = int(source.kernel.shape[0])

    def build(self, shape: Any) -> None:
        """Make the bias, the only variable of its own."""
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Return ``inputs W^T + q``."""
        kernel = ops.cast(ops.transpose(self.source.kernel), self.compute_dtype)
        return ops.matmul(inputs, kernel) + ops.cast(self.bias, self.compute_dtype)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (shape[0], self.units)


def build(settings: AutoencoderSettings, size: int, channels: int, seed: int) -> Halves:
    """Build the three layers; the decoder returns what stands before its activation."""
    shape = (size, size, channels)
    units = math.prod(shape)
    activation = code_activation(settings)
    # float32 under any policy: the code and the logits are what losses read
    hidden = keras.layers.Dense(
        settings.latent_size,
        activation,
        kernel_initializer=initial(seed, "code", keras.initializers.GlorotUniform),
        dtype="float32",
        name="code",
    )
    masks = keras.Input(shape, name="masks")
    encoder = keras.Model(masks, hidden(keras.layers.Flatten(dtype="float32")(masks)), name="encoder")
    if settings.tied:
        back = TiedDense(hidden, dtype="float32", name="output")
    else:
        kernel = initial(seed, "output", keras.initializers.GlorotUniform)
        back = keras.layers.Dense(units, kernel_initializer=kernel, dtype="float32", name="output")
    code = keras.Input((settings.latent_size,), name="code")
    decoder = keras.Model(code, keras.layers.Reshape(shape, dtype="float32")(back(code)), name="decoder")
    return Halves(encoder, decoder, None)
