"""A convolutional autoencoder that starts from principal components and learns what they miss.

Trained from random weights on a few thousand masks, a convolutional autoencoder needs very many epochs to reach what
PCA of the same size does at once. So the code is ``PCA(x) + convolutions(x)`` and the reconstruction
``a (PCA^-1(c) - 1/2) + convolutions(c, PCA^-1(c))``: the linear path is fixed to the principal components of the
training masks, the last layer of both convolutional branches starts at (almost) zero, and training begins at PCA's
solution and leaves it for a better one. The linear part also keeps the code easy to predict and to whiten.
``principal = false`` leaves the linear path out.

No normalisation layers: with residual branches that start at zero they are not needed, and the same mask always gives
the same code.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from aeret.models.autoencoder.parts import Halves, PrincipalAxes, Unproject, code_activation, initial
from aeret.settings import AutoencoderSettings

_COARSEST = 4  # cells; the convolutions halve the map down to this side
_SLOPE = 8.0  # of the logits over PCA's reconstruction; sigmoid(8 (1 - 1/2)) = 0.98
_RARE = -3.0  # logit of the foreground's share, where nothing else starts the output


class SpaceToDepth(keras.layers.Layer):
    """Fold 2 x 2 cells into channels, padding odd sides with zeros: (b, h, w, c) -> (b, h/2, w/2, 4 c)."""

    def call(self, inputs: Any) -> Any:
        """Fold."""
        _, height, width, channels = inputs.shape
        if height % 2 or width % 2:
            inputs = ops.pad(inputs, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
        rows, columns = (height + 1) // 2, (width + 1) // 2
        cells = ops.reshape(inputs, (-1, rows, 2, columns, 2, channels))
        return ops.reshape(ops.transpose(cells, (0, 1, 3, 2, 4, 5)), (-1, rows, columns, 4 * channels))


class DepthToSpace(keras.layers.Layer):
    """Unfold channels into 2 x 2 cells and cut to ``size``: the inverse of :class:`SpaceToDepth`."""

    def __init__(self, size: int, **options: Any) -> None:
        super().__init__(**options)
        self.size = size

    def call(self, inputs: Any) -> Any:
        """Unfold."""
        _, rows, columns, depth = inputs.shape
        cells = ops.reshape(inputs, (-1, rows, columns, 2, 2, depth // 4))
        cells = ops.transpose(cells, (0, 1, 3, 2, 4, 5))
        return ops.reshape(cells, (-1, 2 * rows, 2 * columns, depth // 4))[:, : self.size, : self.size]


def build(settings: AutoencoderSettings, size: int, channels: int, seed: int) -> Halves:
    """Build both halves; ``width`` sets the channels of the convolutions, ``depth`` the decoder's residual blocks."""
    sides = [size]
    while sides[-1] > _COARSEST:
        sides.append((sides[-1] + 1) // 2)
    axes = PrincipalAxes(settings.latent_size, name="principal") if settings.principal else None
    encoder = _encoder(settings, size, channels, sides, seed, axes)
    return Halves(encoder, _decoder(settings, size, channels, sides, seed, axes), axes)


def _encoder(
    settings: AutoencoderSettings, size: int, channels: int, sides: list[int], seed: int, axes: PrincipalAxes | None
) -> Any:
    masks = keras.Input((size, size, channels), name="masks")
    x = masks
    for level in range(1, len(sides)):
        x = _narrow(SpaceToDepth()(x), settings, seed, "narrow") if level == 1 else x
        stride = 1 if level == 1 else 2
        x = _convolve(x, _width(settings, level), seed, f"down{level}", stride)
    small = axes is not None
    kernel = initial(seed, "code", keras.initializers.VarianceScaling, scale=0.01 if small else 1.0)
    code = keras.layers.Dense(settings.latent_size, kernel_initializer=kernel, dtype="float32", name="code")(
        keras.layers.Flatten()(x)
    )
    if axes is not None:
        code = keras.layers.Add(dtype="float32")([code, axes(masks)])
    if code_activation(settings) == "sigmoid":
        code = keras.layers.Activation("sigmoid", dtype="float32")(code)
    return keras.Model(masks, code, name="encoder")


def _decoder(
    settings: AutoencoderSettings, size: int, channels: int, sides: list[int], seed: int, axes: PrincipalAxes | None
) -> Any:
    code = keras.Input((settings.latent_size,), name="code")
    coarse, width = sides[-1], _width(settings, len(sides) - 1)
    kernel = initial(seed, "expand", keras.initializers.HeNormal)
    x = keras.layers.Dense(coarse * coarse * width, "relu", kernel_initializer=kernel, name="expand")(code)
    x = keras.layers.Reshape((coarse, coarse, width))(x)
    for level in range(len(sides) - 2, 0, -1):
        x = keras.layers.UpSampling2D(2)(x)
        extra = 2 * sides[level + 1] - sides[level]
        if extra:
            x = keras.layers.Cropping2D(((0, extra), (0, extra)))(x)
        x = _convolve(x, _width(settings, level), seed, f"up{level}")
    linear = Unproject(axes, name="unproject")(code) if axes is not None else None
    if linear is not None:
        # At half resolution with four times the channels: the same information, a quarter of the convolutions' work.
        x = keras.layers.Concatenate()([x, _narrow(SpaceToDepth()(linear), settings, seed, "narrow_linear")])
    width = _width(settings, 1) * 2
    x = _convolve(x, width, seed, "join")
    for block in range(settings.depth):
        branch = _convolve(x, width, seed, f"block{block}a")
        branch = _convolve(branch, width, seed, f"block{block}b", activation=None)
        x = keras.layers.Add()([x, branch])
    first = "zeros" if linear is not None else initial(seed, "output", keras.initializers.GlorotUniform)
    output = keras.layers.Conv2D(
        4 * channels,
        1 if _is_wide(4 * channels, settings) else 3,
        padding="same",
        kernel_initializer=first,
        bias_initializer=keras.initializers.Constant(_RARE if linear is None and settings.output == "sigmoid" else 0.0),
        dtype="float32",
        name="output",
    )(x)
    output = DepthToSpace(size, dtype="float32")(output)
    if linear is not None:
        if settings.output == "sigmoid":
            linear = keras.layers.Rescaling(_SLOPE, -_SLOPE / 2, dtype="float32")(linear)
        output = keras.layers.Add(dtype="float32")([output, linear])
    return keras.Model(code, output, name="decoder")


def _is_wide(channels: int, settings: AutoencoderSettings) -> bool:
    return channels > 4 * settings.width


def _narrow(x: Any, settings: AutoencoderSettings, seed: int, name: str) -> Any:
    """Mix many channels (80 categories make 320) into few, cell by cell, where 3 x 3 kernels would cost nine times."""
    if not _is_wide(x.shape[-1], settings):
        return x
    kernel = initial(seed, name, keras.initializers.HeNormal)
    return keras.layers.Conv2D(2 * settings.width, 1, kernel_initializer=kernel, name=name)(x)


def _width(settings: AutoencoderSettings, level: int) -> int:
    return settings.width * (1 if level == 1 else 2)


def _convolve(x: Any, width: int, seed: int, name: str, stride: int = 1, activation: str | None = "relu") -> Any:
    kernel = initial(seed, name, keras.initializers.HeNormal)
    # A branch that ends without activation is added to what it starts from: small, so that depth does not blow it up.
    if activation is None:
        kernel = initial(seed, name, keras.initializers.VarianceScaling, scale=0.1)
    layer = keras.layers.Conv2D(width, 3, stride, "same", activation=activation, kernel_initializer=kernel, name=name)
    return layer(x)
