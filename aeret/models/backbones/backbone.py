"""Build a registered backbone, with or without its classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from aeret.errors import UsageError
from aeret.models.backbones.pieces import DEVIATION, MEAN, Outline, Pieces

BN = "; batch normalisation"
"""What the paper of a ``-bn`` variant says beside."""

Stack = Callable[[Pieces, Any], Any]
"""From normalised photos (b, S, S, 3) to the map (b, h, w, channels)."""

Classifier = Callable[[Pieces, Any, int], Any]
"""From the map to logits (b, classes), as the paper has it."""


def mean_of_map(pieces: Pieces, x: Any, classes: int, dropout: float = 0.0) -> Any:
    """Stack the classifier of a ResNet or a GoogLeNet: global mean, perhaps dropout, one dense layer."""
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout:
        x = pieces.dropout(x, "pool_dropout", dropout)
    return pieces.dense(x, "classes", classes, None, "float32")


def fully_connected(pieces: Pieces, x: Any, classes: int) -> Any:
    """Stack the classifier of AlexNet and its kin: every position, fc6 and fc7 of 4096 with dropout 0.5, classes."""
    x = pieces.dropout(fc7(pieces, keras.layers.Flatten(name="flatten")(x)), "fc7_dropout")
    return pieces.dense(x, "classes", classes, None, "float32")


def fc7(pieces: Pieces, x: Any) -> Any:
    """Stack fc6 with its dropout of 0.5, and fc7 without it, on a flattened map: float32 (b, 4096)."""
    x = pieces.dropout(pieces.dense(x, "fc6", 4096), "fc6_dropout")
    return pieces.dense(x, "fc7", 4096, dtype="float32")


@dataclass(frozen=True)
class Backbone:
    """One network of the registry."""

    stack: Stack
    native_size: int
    """Side in pixels of the photos it was designed for."""
    smallest_size: int
    """Smallest side it can take."""
    paper: str
    classifier: Classifier = mean_of_map
    normalised: bool = False
    """A batch-norm variant of ``stack``; see :class:`aeret.models.backbones.pieces.Pieces`."""

    def build(self, size: int, seed: int) -> Any:
        """Return a ``keras.Model`` from float32 (b, size, size, 3) photos in 0..255 RGB to the map.

        Raises:
            UsageError: ``size`` is below ``smallest_size``.
        """
        return self._build(size, Pieces(seed, self.normalised))

    def build_classifier(self, size: int, classes: int, seed: int) -> Any:
        """Return the network as its paper has it: the backbone and its own classifier, logits (b, classes).

        aeret trains backbones under :class:`aeret.models.joint.JointModel` instead; this is the form whose parameters
        the literature counts.

        Raises:
            UsageError: ``size`` is below ``smallest_size``.
        """
        return self._classifier(size, classes, Pieces(seed, self.normalised))

    def outline(self, size: int, classes: int | None = None) -> Any:
        """Return what ``build``, or with classes ``build_classifier``, returns, with zeros as weights.

        Drawing the weights is what takes time; an outline has the same shapes and counts.

        Raises:
            UsageError: ``size`` is below ``smallest_size``.
        """
        pieces = Outline(self.normalised)
        return self._build(size, pieces) if classes is None else self._classifier(size, classes, pieces)

    def _build(self, size: int, pieces: Pieces) -> Any:
        if size < self.smallest_size:
            raise UsageError(
                f"photos of {size} px are too small for this backbone: it takes {self.smallest_size} px or more; raise "
                "cnn.input_size (and data.photo_size), or take a backbone whose name holds -small."
            )
        photos = keras.Input((size, size, 3), name="photos")
        # In float32: bfloat16 has eight bits, one less than a photo's levels need around the mean.
        scale = [1 / deviation for deviation in DEVIATION]
        offset = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
        normalised = keras.layers.Rescaling(scale, offset, dtype="float32", name="normalise")(photos)
        return keras.Model(photos, self.stack(pieces, normalised), name="backbone")

    def _classifier(self, size: int, classes: int, pieces: Pieces) -> Any:
        backbone = self._build(size, pieces)
        return keras.Model(backbone.input, self.classifier(pieces, backbone.output, classes))
