"""DCGAN: a generator of photos against a backbone that learns to tell its photos from real ones.

A. Radford, L. Metz, S. Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
networks", ICLR 2016. What is kept of it is the discriminator: its features need no label.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from aeret.models.layers.batch_norm import batch_norm
from aeret.rng import derive, generator

NOISE = 100
"""Dimensions of what the generator makes a photo of."""
_WIDTHS = (256, 128, 64)


class Gan(keras.Model):
    """Generator and discriminator in one model, whose one loss has for each exactly the gradient of its own game.

    Each step both move at once. The discriminator's loss sees a generated photo as a constant, the generator's sees the
    discriminator's variables as constants (and is the non-saturating one of Goodfellow et al. 2014); Adam moves each
    variable by its own gradient, so adding the two is as good as two optimisers. Batch normalisation gets a batch of
    real and a batch of generated photos apart, and keeps moving statistics of the real ones only: those are what the
    backbone will see.

    Args:
        backbone: ``keras.Model`` from photos to a map, with a layer ``normalise``.
        seed: decides initial weights and noise.

    Input shape:
        (batch_size, S, S, 3), RGB in 0..255.

    Output shape:
        float32 (batch_size, 1): logit that the photo is real.
    """

    def __init__(self, backbone: Any, seed: int) -> None:
        super().__init__(name="gan")
        self.seed = seed
        self.normalise = backbone.get_layer("normalise")
        flat = keras.layers.Flatten(dtype="float32", name="flat")(backbone.output)
        real = keras.layers.Dense(1, kernel_initializer=_normal(seed, "real"), dtype="float32", name="real")(flat)
        self.discriminator = keras.Model(self.normalise.output, real, name="discriminator")
        self.generator = _generator(backbone.input.shape[1], seed)
        self.noise = keras.random.SeedGenerator(derive(seed, "gan", "noise") % 2**31)
        self._means = [keras.metrics.Mean("discriminator_loss"), keras.metrics.Mean("generator_loss")]
        self._right = keras.metrics.Mean("accuracy")
        self.built = True

    def call(self, photos: Any, training: bool = False) -> Any:
        """Return logits that photos are real."""
        return self.discriminator(self.normalise(photos), training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the sum of both losses; ``y`` is not looked at.

        ``accuracy`` is the discriminator's on both kinds of photos: near 1 it has won, near 0.5 it is fooled.
        """
        count = ops.shape(x)[0]
        made = self.generator(keras.random.normal((count, NOISE), seed=self.noise), training=training)
        photos = self.normalise(made)
        false = self._judge(ops.stop_gradient(photos), training, constant=False)
        fooled = self._judge(photos, training, constant=True)
        losses = (
            (ops.mean(ops.softplus(-y_pred)) + ops.mean(ops.softplus(false))) / 2,
            ops.mean(ops.softplus(-fooled)),
        )
        for mean, loss in zip(self._means, losses, strict=True):
            mean.update_state(loss, sample_weight=count)
        right = [ops.mean(ops.cast(each, "float32")) for each in (y_pred > 0, false < 0)]
        self._right.update_state(sum(right) / 2, sample_weight=count)
        return losses[0] + losses[1]

    def samples(self, count: int) -> npt.NDArray[np.uint8]:
        """Return generated photos, uint8 (count, S, S, 3), always of the same noise."""
        noise = generator(self.seed, "gan", "samples").normal(size=(count, NOISE)).astype(np.float32)
        photos = ops.convert_to_numpy(self.generator(noise, training=False))
        made: npt.NDArray[np.uint8] = np.clip(np.rint(photos), 0, 255).astype(np.uint8)
        return made

    def _judge(self, photos: Any, training: bool, constant: bool) -> Any:
        network = self.discriminator
        learnt = [ops.stop_gradient(each.value) if constant else each.value for each in network.trainable_variables]
        rest = [each.value for each in network.non_trainable_variables]
        # Stateless, so that generated photos leave no trace in the moving statistics.
        logits, _ = network.stateless_call(learnt, rest, photos, training=training)
        return logits


def _generator(size: int, seed: int) -> Any:
    side = -(-size // 16)
    noise = keras.Input((NOISE,), name="noise")
    x = keras.layers.Dense(side * side * 512, use_bias=False, kernel_initializer=_normal(seed, "up0"), name="up0")(
        noise
    )
    x = keras.layers.Reshape((side, side, 512), name="up0_map")(x)
    x = keras.layers.ReLU(name="up0_relu")(batch_norm("up0_norm")(x))
    for number, width in enumerate((*_WIDTHS, 3), start=1):
        last = number > len(_WIDTHS)
        x = keras.layers.Conv2DTranspose(
            width, 4, 2, "same", use_bias=last, kernel_initializer=_normal(seed, f"up{number}"), name=f"up{number}"
        )(x)
        if not last:
            x = keras.layers.ReLU(name=f"up{number}_relu")(batch_norm(f"up{number}_norm")(x))
    excess = 16 * side - size
    x = keras.layers.Cropping2D(((0, excess), (0, excess)), name="crop")(x)
    x = keras.layers.Activation("tanh", dtype="float32", name="tanh")(x)
    photos = keras.layers.Rescaling(127.5, 127.5, dtype="float32", name="photo")(x)
    return keras.Model(noise, photos, name="generator")


def _normal(seed: int, name: str) -> Any:
    return keras.initializers.RandomNormal(0.0, 0.02, seed=derive(seed, "gan", name) % 2**31)
