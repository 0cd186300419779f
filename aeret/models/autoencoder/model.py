"""Train encoder and decoder together: corruption, reconstruction and loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from aeret.errors import UsageError
from aeret.losses.reconstruction import reconstruction_loss
from aeret.models.autoencoder import conv, dense
from aeret.models.autoencoder.corruption import Corruption
from aeret.models.autoencoder.parts import Halves, code_activation
from aeret.models.autoencoder.sparsity import SPARSITY_PENALTIES
from aeret.models.principal import PrincipalComponents
from aeret.registry import lookup
from aeret.rng import derive
from aeret.settings import AutoencoderSettings

AUTOENCODERS: dict[str, Callable[[AutoencoderSettings, int, int, int], Halves]] = {
    "conv": conv.build,
    "dense": dense.build,
}
"""Architecture -> (settings, side of the mask in cells, channels, seed) -> halves."""


class MaskAutoencoder(keras.Model):
    """Encoder and decoder with the loss that trains them: reconstruction of the clean mask, and sparsity of the code.

    Input shape:
        (batch_size, size, size, channels) in [0, 1]; float32, or uint8 as the feeds have whole cells.

    Output shape:
        dict: ``code`` float32 (batch_size, latent_size); ``output`` float32 (batch_size, size, size, channels), the
        decoder before its last activation.
    """

    def __init__(self, halves: Halves, settings: AutoencoderSettings, seed: int) -> None:
        super().__init__(name="mask_autoencoder")
        self.settings = settings
        self.encoder = halves.encoder
        self.decoder = halves.decoder
        self._axes = halves.axes
        self._loss = reconstruction_loss(settings.loss, settings.output)
        self._penalty = lookup(SPARSITY_PENALTIES, settings.sparsity_kind, "sparsity penalty")
        noise = derive(seed, "autoencoder", "corruption") % 2**31
        self._corruption = Corruption(settings.corruption, settings.corruption_rate, noise, name="corruption")
        self._iou = keras.metrics.Mean("iou")
        shape = self.encoder.input_shape
        self.build(shape)

    @property
    def takes_components(self) -> bool:
        """Whether :meth:`start_from` must be called before training."""
        return self._axes is not None

    def start_from(self, components: PrincipalComponents) -> None:
        """Set the fixed linear path to the principal components of the training masks."""
        if self._axes is not None:
            self._axes.fill(components)

    def build(self, shape: Any) -> None:
        """Mark as built: both halves are, from the start."""
        self._corruption.build(shape)
        self.built = True

    def call(self, masks: Any, training: bool = False) -> Any:
        """Return code and output of masks, which are corrupted first while training."""
        masks = ops.cast(masks, "float32")
        code = self.encoder(self._corruption(masks, training=training), training=training)
        return {"code": code, "output": self.decoder(code, training=training)}

    def activate(self, output: Any) -> Any:
        """Turn the decoder's output into shares in [0, 1]."""
        return ops.sigmoid(output) if self.settings.output == "sigmoid" else ops.clip(output, 0.0, 1.0)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the scalar loss of a batch; ``y`` is the clean mask."""
        y = ops.cast(y, "float32")
        loss = ops.mean(self._loss(y, y_pred["output"]))
        if self.settings.sparsity:
            loss += self.settings.sparsity * self._penalty(y_pred["code"], self.settings.sparsity_target)
        self._iou.update_state(self._foreground_iou(y, y_pred["output"]), sample_weight=ops.shape(y)[0])
        return loss + sum(self.losses) if training and self.losses else loss

    def _foreground_iou(self, masks: Any, output: Any) -> Any:
        """Intersection over union of all cells and channels of a batch at 0.5."""
        true, found = masks >= 0.5, output >= (0.0 if self.settings.output == "sigmoid" else 0.5)
        shared = ops.sum(ops.cast(ops.logical_and(true, found), "float32"))
        return shared / ops.maximum(ops.sum(ops.cast(ops.logical_or(true, found), "float32")), 1.0)


def build_autoencoder(settings: AutoencoderSettings, size: int, channels: int, seed: int) -> MaskAutoencoder:
    """Build an untrained autoencoder.

    Args:
        settings: the section ``autoencoder``.
        size: side of the masks in cells.
        channels: of the mask encoding.
        seed: decides initial weights and corruption, layer by layer.

    Raises:
        UnknownNameError: there is no such architecture, loss or corruption.
        UsageError: two settings do not go together.
    """
    if size < 8 or channels < 1:
        raise UsageError(f"expected masks of at least 8 x 8 cells and one channel, got {size} and {channels}.")
    if settings.sparsity and settings.sparsity_kind == "kl" and code_activation(settings) != "sigmoid":
        raise UsageError(
            "autoencoder.sparsity_kind='kl' compares mean activations in (0, 1), this code is linear and has none; "
            "set autoencoder.code=sigmoid or autoencoder.sparsity_kind=l1."
        )
    build = lookup(AUTOENCODERS, settings.architecture, "autoencoder architecture")
    return MaskAutoencoder(build(settings, size, channels, seed), settings, seed)
