"""Compare reconstructed masks with the true ones, one value a mask.

A loss takes the true channels ``x`` in [0, 1] and the decoder's raw output ``z``, both (b, h, w, channels), and returns
float32 (b,). A sigmoid decoder's ``z`` are logits; an identity decoder's ``z`` is the reconstruction. The seed paper
sums over elements; these are means, so that the learning rate does not depend on resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from aeret.errors import UsageError
from aeret.registry import lookup

ReconstructionLoss = Callable[[Any, Any], Any]
"""(x (b, h, w, channels), z of the same shape) -> float32 (b,)."""


def binary_cross_entropy(x: Any, z: Any) -> Any:
    """Mean over cells and channels of ``-x log s - (1 - x) log(1 - s)``, s = sigmoid(z), computed from the logits.

    Nats per cell and channel. Its gradient by each logit is ``(sigmoid(z) - x) / (h w channels)``.
    """
    x, z = _float32(x, z)
    # log(1 + e^z) - x z, in the form that cannot overflow
    return ops.mean(ops.maximum(z, 0.0) - x * z + ops.log1p(ops.exp(-ops.abs(z))), axis=(1, 2, 3))


def squared_error(x: Any, z: Any) -> Any:
    """Mean over cells and channels of ``(x - z)^2`` (identity decoder)."""
    x, z = _float32(x, z)
    return ops.mean(ops.square(x - z), axis=(1, 2, 3))


def squared_error_of_sigmoid(x: Any, z: Any) -> Any:
    """Mean over cells and channels of ``(x - sigmoid(z))^2``."""
    x, z = _float32(x, z)
    return squared_error(x, ops.sigmoid(z))


def soft_dice(x: Any, z: Any) -> Any:
    """Mean over the channels present in the mask of ``1 - (2 sum(x s) + 1) / (sum(x) + sum(s) + 1)``, s = sigmoid(z).

    Sums run over cells (Milletari et al. 2016, V-Net, with the denominator not squared). It weighs a thing of five
    cells like one of five hundred. 0 for a mask without any channel.
    """
    x, z = _float32(x, z)
    s = ops.sigmoid(z)
    shared = ops.sum(x * s, axis=(1, 2))
    total = ops.sum(x, axis=(1, 2)) + ops.sum(s, axis=(1, 2))
    present = ops.cast(ops.any(x > 0, axis=(1, 2)), "float32")
    loss = present * (1.0 - (2.0 * shared + 1.0) / (total + 1.0))
    return ops.sum(loss, axis=-1) / ops.maximum(ops.sum(present, axis=-1), 1.0)


def cross_entropy_and_dice(x: Any, z: Any) -> Any:
    """Binary cross-entropy summed over channels and averaged over cells, plus :func:`soft_dice`.

    Masks are mostly background: averaged over 80 channels, cross-entropy alone is content with predicting nothing.
    """
    return binary_cross_entropy(x, z) * x.shape[-1] + soft_dice(x, z)


RECONSTRUCTION_LOSSES: dict[str, ReconstructionLoss] = {
    "bce": binary_cross_entropy,
    "mse": squared_error_of_sigmoid,
    "bce+dice": cross_entropy_and_dice,
}
"""For a sigmoid decoder, from logits."""

IDENTITY_LOSSES: dict[str, ReconstructionLoss] = {"mse": squared_error}
"""For an identity decoder, whose output is no probability."""


def reconstruction_loss(name: str, output: str) -> ReconstructionLoss:
    """Return the loss ``name`` for a decoder whose last activation is ``output``.

    Raises:
        UnknownNameError: there is no such loss.
        UsageError: the loss needs a sigmoid decoder.
    """
    loss = lookup(RECONSTRUCTION_LOSSES, name, "reconstruction loss")
    if output == "sigmoid":
        return loss
    if name not in IDENTITY_LOSSES:
        raise UsageError(
            f"autoencoder.loss={name!r} reads probabilities, autoencoder.output={output!r} gives none; set "
            "autoencoder.output=sigmoid or autoencoder.loss=mse."
        )
    return IDENTITY_LOSSES[name]


def _float32(x: Any, z: Any) -> tuple[Any, Any]:
    return ops.cast(x, "float32"), ops.cast(z, "float32")
