"""Provide what the autoencoders share: seeded initialisers and principal axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from aeret.models.principal import PrincipalComponents
from aeret.rng import derive
from aeret.settings import AutoencoderSettings


@dataclass(frozen=True)
class Halves:
    """An untrained autoencoder."""

    encoder: Any
    """``keras.Model``: (b, h, w, channels) -> float32 (b, m)."""
    decoder: Any
    """``keras.Model``: (b, m) -> float32 (b, h, w, channels), before the last activation."""
    axes: PrincipalAxes | None
    """The linear path, which wants components before training; None where there is none."""


def code_activation(settings: AutoencoderSettings) -> str:
    """Return the activation of the code, ``linear`` or ``sigmoid``."""
    if settings.code != "default":
        return settings.code
    return "sigmoid" if settings.architecture == "dense" else "linear"


def initial(seed: int, name: str, kind: type, **options: Any) -> Any:
    """Return an initializer with a stream of its own for the layer ``name``."""
    return kind(seed=derive(seed, "autoencoder", name) % 2**31, **options)


class PrincipalAxes(keras.layers.Layer):
    """Fixed principal components: the mean of the training masks and m axes, not trained.

    Both directions share the one kernel: :meth:`call` projects, :class:`Unproject` goes back.

    Input shape:
        (batch_size, h, w, channels).

    Output shape:
        float32 (batch_size, m).
    """

    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(trainable=False, dtype="float32", **options)
        self.units = units

    def build(self, shape: Any) -> None:
        """Make mean and axes; zero until :meth:`fill`."""
        self.map_shape = tuple(int(side) for side in shape[1:])
        length = math.prod(self.map_shape)
        self.mean = self.add_weight(shape=(length,), initializer="zeros", trainable=False, name="mean")
        self.kernel = self.add_weight(shape=(length, self.units), initializer="zeros", trainable=False, name="kernel")

    def fill(self, components: PrincipalComponents) -> None:
        """Set mean and axes; axes that the components lack stay zero."""
        kernel = np.zeros(tuple(self.kernel.shape), np.float32)
        kernel[:, : len(components.axes)] = components.axes.T
        self.mean.assign(components.mean)
        self.kernel.assign(kernel)

    def call(self, inputs: Any) -> Any:
        """Return ``(x - mean) W``."""
        flat = ops.reshape(inputs, (-1, self.mean.shape[0]))
        return ops.matmul(flat - self.mean, self.kernel)

    def compute_output_shape(self, shape: Any) -> tuple[int | None, int]:
        """Return the shape of the output."""
        return (shape[0], self.units)


class Unproject(keras.layers.Layer):
    """From coordinates on principal axes back to the map: ``c W^T + mean``.

    Input shape:
        (batch_size, m).

    Output shape:
        float32 (batch_size, h, w, channels).
    """

    def __init__(self, axes: PrincipalAxes, **options: Any) -> None:
        super().__init__(trainable=False, dtype="float32", **options)
        self.axes = axes

    def call(self, inputs: Any) -> Any:
        """Return the map."""
        flat = ops.matmul(inputs, ops.transpose(self.axes.kernel)) + self.axes.mean
        return ops.reshape(flat, (-1, *self.axes.map_shape))

    def compute_output_shape(self, shape: Any) -> tuple[int | None, ...]:
        """Return the shape of the output."""
        return (shape[0], *self.axes.map_shape)
