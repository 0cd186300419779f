"""Make the layers that all backbones share."""

from __future__ import annotations

from typing import Any

import keras

from aeret.models.layers.batch_norm import batch_norm
from aeret.models.layers.local_response import LocalResponseNormalization
from aeret.rng import derive

MEAN = (123.675, 116.28, 103.53)
DEVIATION = (58.395, 57.12, 57.375)
"""RGB mean and deviation of ImageNet in 0..255, torchvision's values."""
_UNIT = sum(each**2 for each in DEVIATION) / 3


class Pieces:
    """Layers with names and with initial weights that depend on the seed and the name alone.

    A network built twice with one seed is the same, whatever was built before and in whatever order. Convolutions pad
    explicitly, as Caffe and PyTorch do: ``padding="same"`` of a strided layer would shift the map by a pixel.

    Args:
        seed: the run's seed.
        normalised: make the batch-norm variant of a network that was published without: batch normalisation between
            every convolution and its ReLU, in place of the bias, and no local response normalisation.
    """

    def __init__(self, seed: int, normalised: bool = False) -> None:
        self.seed = seed
        self.normalised = normalised

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
        """Convolve with bias, or with batch normalisation in a variant that is ``normalised``; then ReLU."""
        convolve = self.conv_norm if self.normalised else self.conv
        return self.relu(convolve(x, name, channels, kernel, stride, padding), name)

    def conv_norm(self, x: Any, name: str, channels: int, kernel: int, stride: int = 1, padding: int = 0) -> Any:
        """Convolve without bias, then normalise over the batch."""
        return batch_norm(f"{name}_norm")(self.conv(x, name, channels, kernel, stride, padding, bias=False))

    def relu(self, x: Any, name: str) -> Any:
        """Cut at zero."""
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def local_response(self, x: Any, name: str, size: int = 5, alpha: float = 1e-4) -> Any:
        """Normalise over neighbouring channels; not in a variant that is ``normalised``.

        ``alpha`` is the paper's, whose networks saw photos without their mean but not divided by their deviation; see
        :class:`aeret.models.layers.local_response.LocalResponseNormalization`.
        """
        return x if self.normalised else LocalResponseNormalization(size, alpha * _UNIT, name=name)(x)

    def max_pool(
        self, x: Any, name: str, kernel: int = 3, stride: int = 2, padding: int = 0, ceil: bool = False
    ) -> Any:
        """Pool, rounding the side of the map down, or up as Caffe does.

        Zero padding is safe because the input comes from a ReLU. Rounding up adds zeros right and below only:
        ``padding="same"`` would make 28 of 55, where Caffe makes 27.
        """
        after = padding
        if ceil and x.shape[1] >= kernel:
            after += (kernel - x.shape[1] - 2 * padding) % stride
        if after:
            x = keras.layers.ZeroPadding2D(((padding, after), (padding, after)), name=f"{name}_pad")(x)
        return keras.layers.MaxPooling2D(kernel, stride, name=name)(x)

    def dropout(self, x: Any, name: str, rate: float = 0.5) -> Any:
        """Drop a share of the values when training."""
        return keras.layers.Dropout(rate, seed=derive(self.seed, name) % 2**31, name=name)(x)

    def dense(self, x: Any, name: str, units: int, activation: str | None = "relu", dtype: str | None = None) -> Any:
        """Connect fully, then ReLU."""
        kernel = self.initializer(name)
        return keras.layers.Dense(units, activation, kernel_initializer=kernel, dtype=dtype, name=name)(x)


class Outline(Pieces):
    """Pieces whose weights are all zero: quick to make, for shapes and counts."""

    def __init__(self, normalised: bool = False) -> None:
        super().__init__(0, normalised)

    def initializer(self, name: str) -> Any:
        """Return zeros."""
        return keras.initializers.Zeros()
