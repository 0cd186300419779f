"""One block of a backbone as the encoder of an autoencoder: a step of greedy pretraining from the bottom up.

G. Hinton, R. Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 2006; Y. Bengio et al.,
"Greedy layer-wise training of deep networks", NIPS 2006; of convolutions: J. Masci et al., "Stacked convolutional
auto-encoders for hierarchical feature extraction", ICANN 2011; with corrupted input: P. Vincent et al., 2008.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aeret.models.blocks import Block
from aeret.rng import derive


class BlockAutoencoder(keras.Model):
    """The layers below, frozen; a block that encodes what they make of a photo; and a linear decoder of its own.

    The loss is the share of the variance (over batch and positions, by channel, summed) of the block's input that the
    decoder leaves: 0 is perfect, 1 is what the mean of each channel would leave. So blocks can be compared.

    Args:
        backbone: the network; of its layers only the block's will learn, and its own dropout is switched off: the
            corruption takes its place.
        block: one of :func:`aeret.models.blocks.blocks` of it.
        corruption: share of the input's values that are set to zero when training (the others are scaled up); the
            target is the whole input.
        seed: decides the decoder's initial weights and the corruption.

    Input shape:
        (batch_size, S, S, 3), RGB in 0..255.

    Output shape:
        dict of ``source`` and ``decoded``, float32 arrays of the shape of the block's input.
    """

    def __init__(self, backbone: Any, block: Block, corruption: float, seed: int) -> None:
        below = keras.Model(backbone.input, block.start, name="below")
        encoder = keras.Model(block.start, block.end, name="encoder")
        photos = keras.Input(backbone.input.shape[1:], name="photos")
        for layer in backbone.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = 0.0
        source = below(photos, training=False)
        noise = keras.layers.Dropout(corruption, seed=derive(seed, "corruption", block.name) % 2**31, name="corruption")
        decoded = _decode(encoder(noise(source)), source.shape[1:], derive(seed, "decoder", block.name) % 2**31)
        super().__init__(photos, {"source": source, "decoded": decoded}, name="block_autoencoder")
        for layer in backbone.layers:
            layer.trainable = layer.name in block.layers

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the share of variance that is left; ``y`` is not looked at."""
        source = ops.stop_gradient(ops.cast(y_pred["source"], "float32"))
        left = ops.mean(ops.square(y_pred["decoded"] - source))
        axes = tuple(range(len(source.shape) - 1))
        spread = ops.mean(ops.square(source - ops.mean(source, axis=axes, keepdims=True)))
        loss = left / ops.maximum(spread, 1e-6)
        return loss + sum(self.losses) if training else loss


def _decode(code: Any, shape: tuple[int, ...], seed: int) -> Any:
    kernel = keras.initializers.VarianceScaling(1e-2, seed=seed)  # near zero: no large wrong output to unlearn
    if len(shape) == 2:  # a sequence: step by step
        steps = keras.layers.Reshape((shape[0], -1), name="decoder_steps")(code)
        return keras.layers.Dense(shape[1], kernel_initializer=kernel, dtype="float32", name="decoder")(steps)
    side, small = shape[0], code.shape[1]
    stride = -(-side // small)
    decoded = keras.layers.Conv2DTranspose(
        shape[2],
        stride + 2,  # each cell is seen from its neighbours too
        stride,
        padding="same",
        kernel_initializer=kernel,
        dtype="float32",
        name="decoder",
    )(code)
    excess = small * stride - side
    return keras.layers.Cropping2D(((0, excess), (0, excess)), dtype="float32", name="decoder_crop")(decoded)
