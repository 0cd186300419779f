"""The joint CNN: from the photo alone to an embedding, the labels and the layout code of its mask.

The latent target is made where the loss is computed: the frozen mask encoder codes the mask of the *augmented* photo,
so crops and flips move photo and code together. Masks are privileged information: they are needed to train, never to
predict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import keras
from keras import ops

from aeret.errors import UsageError
from aeret.losses.labels import LABEL_LOSSES
from aeret.losses.latent import LATENT_LOSSES, contrastive
from aeret.models.backbones import BACKBONES
from aeret.models.backbones.backbone import fc7
from aeret.models.backbones.pieces import Pieces
from aeret.models.blocks import last_block
from aeret.models.pooling import pool
from aeret.registry import lookup
from aeret.rng import derive
from aeret.settings import CnnSettings

Target = Callable[[Any], Any]
"""Mask channels float32 (b, h, w, channels) -> normalised code float32 (b, m), on ``keras.ops``."""


class JointModel(keras.Model):
    """Backbone, pooling, embedding (the paper's last-but-one layer), dropout, label head and latent head.

    The embedding is dense + ReLU, with batch normalisation between the two where ``embedding_norm`` asks for it; a 1x1
    convolution may bring the map to fewer channels before it is pooled (``reduce_channels``).

    ``L = label loss + lambda * latent loss`` (seed paper; Caruana 1997 for the idea of a second task), plus the
    penalties that training puts on kernels. The arms are settings of this one class with equal initial weights for
    equal seeds:

    - ``joint``: both losses;
    - ``labels-only``: the latent head is frozen, no code is computed (lambda = 0); the stage fits the head afterwards,
      as a linear read-out, so that the arm can be asked by layout like the others;
    - ``latent-only``: the label head is frozen;
    - ``shuffled-latents``: as ``joint``; the feed gives each photo the mask of another one.

    With ``pooling = "fc"`` the network is its paper's to the end: fc6 and fc7 on the whole map, with dropout 0.5 after
    each, the heads in place of its classes, and fc7 is the embedding.

    With ``transfer = "frozen"`` the embedding is the pooled map itself, and nothing is trained but linear read-outs
    (:mod:`aeret.models.read_out`) in place of the heads.

    Args:
        settings: the section ``cnn``.
        categories: labels.
        latent_size: dimensions of the code.
        seed: decides the initial weights, layer by layer, and dropout.
        target: makes the code of a mask; not needed to predict, nor to train ``labels-only``.

    Input shape:
        (batch_size, input_size, input_size, 3), RGB in 0..255; float32, or uint8 as the feeds have them.

    Output shape:
        dict of float32 arrays: ``embedding`` (batch_size, embedding_size; the pooled map's where ``frozen``, fc7's 4096
        where the pooling is ``fc``), not normalised; ``label_logits`` (batch_size, categories); ``code`` (batch_size,
        latent_size), on the scale of the normalised code.
    """

    def __init__(
        self, settings: CnnSettings, categories: int, latent_size: int, seed: int, target: Target | None = None
    ) -> None:
        if categories < 1 or latent_size < 1:
            raise UsageError(
                f"expected at least one category and one latent dimension, got {categories}, {latent_size}."
            )
        backbone = lookup(BACKBONES, settings.backbone, "backbone").build(settings.input_size, seed)
        weighted = tuple(layer.name for layer in backbone.layers if layer.weights)
        upper = last_block(backbone)

        def dense(name: str, units: int, gain: float, activation: str | None = None) -> Any:
            # Float32 under any policy: these layers cost nothing, and their outputs are what is kept.
            kernel = keras.initializers.VarianceScaling(gain, seed=derive(seed, "weights", name) % 2**31)
            return keras.layers.Dense(units, activation, kernel_initializer=kernel, dtype="float32", name=name)

        activation = None if settings.embedding_norm else "relu"
        embed = dense("embedding", settings.embedding_size, 2.0, activation)
        # Heads start near zero, the mean code: the first steps of a large wrong prediction would kill the ReLUs below.
        classify = dense("label_logits", categories, 1e-2)
        code = dense("code", latent_size, 1e-2)
        paper = settings.pooling == "fc"
        dropout = keras.layers.Dropout(
            0.5 if paper else settings.dropout, seed=derive(seed, "dropout") % 2**31, dtype="float32", name="dropout"
        )
        features = backbone.output
        frozen = settings.transfer == "frozen"
        if settings.reduce_channels and not frozen:
            pieces = Pieces(seed)
            features = pieces.relu(pieces.conv_norm(features, "reduce", settings.reduce_channels, 1), "reduce")
        pooled = pool(features, settings.pooling)
        if frozen or paper:
            given = fc7(Pieces(seed), pooled) if paper else pooled
            embedding = keras.layers.Identity(dtype="float32", name="embedding")(given)
        else:
            embedding = embed(pooled)
            if settings.embedding_norm:
                norm = keras.layers.BatchNormalization(dtype="float32", name="embedding_norm")
                embedding = keras.layers.ReLU(dtype="float32", name="embedding_relu")(norm(embedding))
        dropped = dropout(embedding)
        outputs = {"embedding": embedding, "label_logits": classify(dropped), "code": code(dropped)}
        super().__init__(backbone.input, outputs, name="joint")
        self.settings = settings
        self.backbone_layers = weighted
        """Names of the backbone's layers that have weights, from the bottom up."""
        self._upper = upper
        self._target = target
        self._label_loss = lookup(LABEL_LOSSES, settings.label_loss, "label loss")
        self._latent_loss = lookup(LATENT_LOSSES, settings.latent_loss, "latent loss")
        self.learns_labels = settings.arm != "latent-only"
        self.learns_latents = settings.arm != "labels-only"
        classify.trainable = self.learns_labels
        code.trainable = self.learns_latents
        self._label_mean = keras.metrics.Mean("label_loss") if self.learns_labels else None
        self._latent_mean = keras.metrics.Mean("latent_loss") if self.learns_latents else None

    def learn(self, part: Literal["head", "last-block", "all"]) -> None:
        """Say what of the backbone learns beside embedding and heads: nothing, its last block, or all of it.

        Batch normalisation that does not learn uses, and keeps, its moving statistics. Compile the model afterwards.
        """
        learning = {"head": (), "last-block": self._upper, "all": self.backbone_layers}[part]
        for name in self.backbone_layers:
            self.get_layer(name).trainable = name in learning

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the scalar loss of a batch.

        ``y`` holds ``labels`` (b, C) and, but for ``labels-only``, ``masks`` (b, h, w, channels).
        """
        count = ops.shape(x)[0]
        settings = self.settings
        losses = []
        if self._label_mean is not None:
            labels = ops.cast(y["labels"], "float32")
            loss = self._label_loss(labels, y_pred["label_logits"], settings.label_smoothing)
            self._label_mean.update_state(loss, sample_weight=count)
            losses.append(loss)
        if self._latent_mean is not None:
            if self._target is None:
                raise UsageError(f"arm {settings.arm!r} learns codes: give the JointModel a target.")
            codes = ops.stop_gradient(self._target(y["masks"]))
            loss = self._latent_loss(codes, y_pred["code"], settings.temperature)
            if settings.contrastive_weight:
                loss += settings.contrastive_weight * contrastive(codes, y_pred["code"], settings.temperature)
            self._latent_mean.update_state(loss, sample_weight=count)
            losses.append(settings.latent_weight * loss)
        if training:
            losses += self.losses
        return sum(losses)


def code_target(encoder: Any, normaliser: Any) -> Target:
    """Return the function from mask channels to the normalised code, on the backend's tensors.

    Args:
        encoder: trained ``keras.Model`` from (b, h, w, channels) to (b, m); it is frozen here.
        normaliser: fitted :class:`aeret.models.latents.Normaliser`.
    """
    encoder.trainable = False
    shift, scale, after = normaliser.affine()

    # A function, not an attribute of the model: the encoder is not the CNN's, neither to train nor to save.
    def target(masks: Any) -> Any:
        centred = ops.cast(encoder(ops.cast(masks, "float32"), training=False), "float32") - shift
        code = centred * scale if scale.ndim == 1 else ops.matmul(centred, scale)
        if after == "l2":
            return code * ops.rsqrt(ops.maximum(ops.sum(ops.square(code), axis=-1, keepdims=True), 1e-12))
        return ops.clip(code, 0.0, 1.0) if after == "clip" else code

    return target
