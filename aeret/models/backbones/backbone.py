"""What a backbone is, and the pieces that all of them are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from aeret.errors import UsageError
from aeret.models.layers.batch_norm import batch_norm
from aeret.rng import derive

MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)
"""RGB mean and deviation of ImageNet in 0..255, torchvision's values."""


class Pieces:
    """Layers with names and with initial weights that depend on the seed and the name alone.

    A network built twice with one seed is the same, whatever was built before and in whatever order. Convolutions pad
    explicitly, as Caffe and PyTorch do: ``padding="same"`` of a strided layer would shift the map by a pixel.

    Args:
        seed: the run's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def initializer(self, name: str) -> Any:
        """Return He's normal initialiser (He et al. 2015) with the seed of one layer."""
        return keras.initializers.HeNormal(seed=derive(self.seed, "weights", name) % 2**31)

    def conv(
        self, x: Any, name: str, channels: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> Any:
        """Convolve with ``padding`` zeros on each side."""
        same = stride == 1 and padding == kernel // 2
        if padding and not same:
            x = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
        return keras.layers.Conv2D(
            channels,
            kernel,
            stride,
            padding="same" if same else "valid",
            use_bias=bias,
            kernel_initializer=self.initializer(name),
            name=name,
        )(x)

    def conv_relu(self, x: Any, name: str, channels: int, kernel: int, stride: int = 1, padding: int = 0) -> Any:
        """Convolve with bias, then ReLU."""
        return self.relu(self.conv(x, name, channels, kernel, stride, padding), name)

    def conv_norm(self, x: Any, name: str, channels: int, kernel: int, stride: int = 1, padding: int = 0) -> Any:
        """Convolve without bias, then normalise over the batch."""
        return batch_norm(f"{name}_norm")(self.conv(x, name, channels, kernel, stride, padding, bias=False))

    def relu(self, x: Any, name: str) -> Any:
        """Cut at zero."""
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def max_pool(self, x: Any, name: str, kernel: int = 3, stride: int = 2, padding: int = 0) -> Any:
        """Pool, rounding down; zero padding is safe because the input comes from a ReLU."""
        if padding:
            x = keras.layers.ZeroPadding2D(padding, name=f"{name}_pad")(x)
        return keras.layers.MaxPooling2D(kernel, stride, name=name)(x)


Stack = Callable[[Pieces, Any], Any]
"""From normalised photos (b, S, S, 3) to the map (b, h, w, channels)."""


@dataclass(frozen=True)
class Backbone:
    """One network of the registry."""

    stack: Stack
    native_size: int
    """Side in pixels of the photos it was designed for."""
    smallest_size: int
    """Smallest side it can take."""
    paper: str
    fully_connected: tuple[int, ...] = ()
    """Widths of the fully connected layers of its classifier; none means global average pooling."""

    def build(self, size: int, seed: int) -> Any:
        """Return a ``keras.Model`` from float32 (b, size, size, 3) photos in 0..255 RGB to the map.

        Raises:
            UsageError: ``size`` is below ``smallest_size``.
        """
        if size < self.smallest_size:
            raise UsageError(
                f"photos of {size} px are too small for this backbone: it takes {self.smallest_size} px or more; raise "
                "cnn.input_size (and data.photo_size), or take a backbone whose name ends in -small."
            )
        photos = keras.Input((size, size, 3), name="photos")
        # In float32: bfloat16 has eight bits, one less than a photo's levels need around the mean.
        scale = [1 / deviation for deviation in DEVIATION]
        offset = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
        normalised = keras.layers.Rescaling(scale, offset, dtype="float32", name="normalise")(photos)
        return keras.Model(photos, self.stack(Pieces(seed), normalised), name="backbone")

    def build_classifier(self, size: int, classes: int, seed: int, dropout: float = 0.5) -> Any:
        """Return the network as its paper has it: the backbone and its own classifier, logits (b, classes).

        aeret trains backbones under :class:`aeret.models.joint.JointModel` instead; this is the form whose parameters
        the literature counts.
        """
        backbone = self.build(size, seed)
        pieces = Pieces(seed)
        x = backbone.output
        x = keras.layers.Flatten()(x) if self.fully_connected else keras.layers.GlobalAveragePooling2D()(x)
        for number, width in enumerate(self.fully_connected):
            name = f"fc{6 + number}"
            x = keras.layers.Dropout(dropout, seed=derive(seed, name) % 2**31)(x)
            x = keras.layers.Dense(width, "relu", kernel_initializer=pieces.initializer(name), name=name)(x)
        logits = keras.layers.Dense(
            classes, kernel_initializer=pieces.initializer("classes"), dtype="float32", name="classes"
        )
        return keras.Model(backbone.input, logits(x))
