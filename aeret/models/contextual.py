"""A small transformer over one result list: what a photo looks like beside the other results.

Ouyang, Wu, Li, Tang and Liu, "Contextual similarity aggregation with self-attention for visual re-ranking", NeurIPS
2021, scaled down (width 128 for 768, 4 heads for 12, lists of 128 for 512). The query stands first in the list. A photo
enters by its cosines to the first ``anchors`` of the list alone, so the network does not depend on the embedding that
made it; there is no positional coding. The score is the cosine of a photo's output to the query's. The layers are
normalised before, not after (Xiong et al. 2020), which trains without a warm-up.

The trained network is written as plain arrays, for :mod:`aeret.retrieval.rerankers.contextual` to compute with NumPy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from aeret.artifacts import replacing_file
from aeret.rng import derive

VERSION = 1
EPSILON = 1e-6


class ContextualModel(keras.Model):
    """Affinities float32 (b, t, anchors) in; ``cosines`` (b, t - 1) to the query and ``rebuilt`` (b, t, anchors) out.

    The loss is ``-log(sum g e^(c / temperature) / sum e^(c / temperature))`` over the results, with gains g in [0, 1]
    (the paper's are 0 or 1), averaged over the lists that have any gain; plus ``reconstruction`` times the squared
    distance between each affinity and its reconstruction from the output, both of unit length.

    Args:
        anchors: first photos of the list, the query included, to which affinities are measured.
        width: of the network.
        layers: of self-attention.
        heads: of each; divides the width.
        dropout: in training, on the outputs of attention and of the two dense layers.
        temperature: of the loss. The paper's code has 2, for lists with few relevant results. Where most share
            something with the query, so flat a loss teaches nothing: on coco_mix it stayed at that of equal scores.
        reconstruction: weight of the second term.
        seed: of the start and of dropout.
    """

    def __init__(
        self,
        anchors: int = 64,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.1,
        temperature: float = 0.1,
        reconstruction: float = 0.2,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.anchors, self.heads = anchors, heads
        self.temperature, self.reconstruction = temperature, reconstruction
        self.start = _dense("start", width, seed)
        self.blocks = [_Attention(f"block{number}", width, heads, dropout, seed) for number in range(layers)]
        self.last = keras.layers.LayerNormalization(epsilon=EPSILON, name="last")
        self.rebuild = _dense("rebuild", anchors, seed)
        self.build((None, None, anchors))

    def build(self, shape: Any) -> None:
        """Create the variables."""
        self.call(keras.KerasTensor((1, self.anchors + 1, self.anchors)))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> dict[str, Any]:
        """Return cosines and reconstructed affinities."""
        hidden = self.start(inputs)
        for block in self.blocks:
            hidden = block(hidden, training=training)
        hidden = self.last(hidden)
        outputs = _unit(hidden)
        cosines = keras.ops.sum(outputs[:, 1:] * outputs[:, :1], axis=-1)
        return {"cosines": keras.ops.cast(cosines, "float32"), "rebuilt": self.rebuild(hidden)}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Return the loss; ``y`` are the gains of the results, float32 (b, t - 1)."""
        odds = keras.ops.exp(y_pred["cosines"] / self.temperature)
        share = keras.ops.sum(y * odds, axis=1) / keras.ops.sum(odds, axis=1)
        some = keras.ops.cast(keras.ops.any(y > 0, axis=1), "float32")
        lists = keras.ops.maximum(keras.ops.sum(some), 1.0)
        loss = -keras.ops.sum(some * keras.ops.log(keras.ops.maximum(share, 1e-12))) / lists
        apart = _unit(x) - _unit(keras.ops.cast(y_pred["rebuilt"], "float32"))
        loss = loss + self.reconstruction * keras.ops.mean(keras.ops.sum(apart * apart, axis=-1))
        return loss + sum(self.losses) if training else loss

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the network as named float32 arrays, without what only training needs."""
        parts: dict[str, Any] = {"start": self.start, "last": self.last}
        for number, block in enumerate(self.blocks):
            parts |= {f"block{number}.{name}": layer for name, layer in block.parts().items()}
        found: dict[str, npt.NDArray[Any]] = {}
        for name, layer in parts.items():
            for variable in layer.weights:
                found[f"{name}.{variable.name}"] = np.array(variable.numpy(), np.float32)
        return found

    def write(self, path: Path, trained_on: npt.NDArray[np.int64]) -> None:
        """Write the arrays into one ``.npz`` file, which then appears complete.

        Args:
            path: of the file.
            trained_on: ids of all photos the training saw, int64 (n,).
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp.npz")
        parts: dict[str, Any] = {
            "version": np.int64(VERSION),
            "anchors": np.int64(self.anchors),
            "heads": np.int64(self.heads),
            "trained_on": np.unique(np.asarray(trained_on, np.int64)),
        }
        with replacing_file(path, temporary) as file:
            np.savez(file, **(parts | self.arrays()))


class _Attention(keras.layers.Layer):
    """Self-attention and two dense layers, each added to its input."""

    def __init__(self, name: str, width: int, heads: int, dropout: float, seed: int) -> None:
        super().__init__(name=name)
        self.heads = heads
        self.norm1 = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm1")
        self.mix = _dense("mix", 3 * width, seed, name)
        self.join = _dense("join", width, seed, name)
        self.norm2 = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm2")
        self.widen = _dense("widen", 4 * width, seed, name)
        self.narrow = _dense("narrow", width, seed, name)
        self.drops = [keras.layers.Dropout(dropout, seed=derive(seed, name, "drop", i) % 2**31) for i in range(2)]

    def parts(self) -> dict[str, Any]:
        names = ("norm1", "mix", "join", "norm2", "widen", "narrow")
        return {name: getattr(self, name) for name in names}

    def build(self, shape: Any) -> None:
        width = shape[-1]
        for layer in (self.norm1, self.mix, self.join, self.norm2, self.widen):
            layer.build((None, None, width))
        self.narrow.build((None, None, 4 * width))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        ops = keras.ops
        batch, length, width = ops.shape(inputs)[0], ops.shape(inputs)[1], inputs.shape[-1]
        mixed = ops.reshape(self.mix(self.norm1(inputs)), (batch, length, 3, self.heads, width // self.heads))
        asks, keys, values = ops.unstack(ops.transpose(mixed, (2, 0, 3, 1, 4)), 3)
        scale = float((width // self.heads) ** -0.5)
        weights = ops.softmax(ops.matmul(asks, ops.transpose(keys, (0, 1, 3, 2))) * scale, axis=-1)
        joined = ops.reshape(ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3)), (batch, length, width))
        hidden = inputs + self.drops[0](self.join(joined), training=training)
        wide = ops.gelu(self.widen(self.norm2(hidden)), approximate=False)
        return hidden + self.drops[1](self.narrow(wide), training=training)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def _dense(name: str, units: int, seed: int, within: str = "") -> Any:
    start = keras.initializers.GlorotUniform(derive(seed, "contextual", within, name) % 2**31)
    return keras.layers.Dense(units, kernel_initializer=start, name=name)


def _unit(vectors: Any) -> Any:
    squared = keras.ops.sum(vectors * vectors, axis=-1, keepdims=True)
    return vectors * keras.ops.rsqrt(keras.ops.maximum(squared, 1e-12))
