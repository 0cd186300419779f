"""A recurrent extractor: the rows of a photo, top to bottom, are a sequence for two bidirectional GRUs.

The seed paper names recurrent networks beside convolutional ones as extractors of features. GRU: K. Cho et al.,
"Learning phrase representations using RNN encoder-decoder for statistical machine translation", EMNLP 2014; both
directions: M. Schuster, K. Paliwal, "Bidirectional recurrent neural networks", 1997. The first layer reads a whole row,
so the number of parameters grows with the side of the photo: weights of one side do not fit another.
"""

from __future__ import annotations

from typing import Any

import keras

from aeret.models.backbones.backbone import Backbone
from aeret.models.backbones.pieces import Pieces
from aeret.rng import derive

UNITS = 128


def bigru(pieces: Pieces, photos: Any) -> Any:
    """Return the map (b, S, 1, 256): one cell a row, its channels the states of both directions."""
    side, width, channels = photos.shape[1:]
    x = keras.layers.Reshape((side, width * channels), name="rows")(photos)
    for number in (1, 2):
        x = _both_ways(pieces, x, f"gru{number}")
    return keras.layers.Reshape((side, 1, 2 * UNITS), name="map")(x)


def _both_ways(pieces: Pieces, x: Any, name: str) -> Any:
    # Two layers made by hand: Bidirectional's own copy would start from the weights of the first.
    forward, backward = (_gru(pieces, f"{name}_{way}", way == "up") for way in ("down", "up"))
    return keras.layers.Bidirectional(forward, backward_layer=backward, name=name)(x)


def _gru(pieces: Pieces, name: str, backwards: bool) -> Any:
    def seed(part: str) -> int:
        return derive(pieces.seed, "weights", name, part) % 2**31

    return keras.layers.GRU(
        UNITS,
        return_sequences=True,
        go_backwards=backwards,
        kernel_initializer=keras.initializers.GlorotUniform(seed("kernel")),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed("recurrent")),
        seed=seed("dropout"),
        name=name,
    )


_PAPER = (
    'K. Cho et al., "Learning phrase representations using RNN encoder-decoder", EMNLP 2014; two bidirectional layers '
    "over the rows of a photo"
)
BIGRU = Backbone(bigru, 64, 16, _PAPER)
