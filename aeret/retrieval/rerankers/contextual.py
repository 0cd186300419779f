"""Contextual re-ranking: a small transformer reads the whole list, and scores each result in the light of the others.

Ouyang, Wu, Li, Tang and Liu, "Contextual similarity aggregation with self-attention for visual re-ranking", NeurIPS
2021. The network is defined in ``aeret.models.contextual`` and trained in ``aeret.training.contextual``, on train
photos only; here its arrays are read from a file and computed with NumPy, to 1e-5 of what Keras gives. It was trained
on lists of some length; where ``top`` is shorter than its anchors, the missing affinities are 0 and it does less well.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from aeret.embeddings.distances import Vectors
from aeret.errors import DataError, UsageError
from aeret.retrieval.rerankers.options import Option
from aeret.retrieval.rerankers.reranker import Block, Reranker, Task
from aeret.retrieval.rerankers.similarities import Scores, similarities, unit

VERSION = 1
_EPSILON = np.float32(1e-6)
_NORM = ("gamma", "beta")


@dataclass(frozen=True)
class Network:
    """A trained network, read by :meth:`load`."""

    arrays: Mapping[str, Vectors]
    anchors: int
    heads: int
    blocks: int
    trained_on: NDArray[np.int64]
    """Ids of all photos its training saw, int64 (n,), rising. Queries and gallery should hold none of them."""

    @classmethod
    def load(cls, path: Path) -> Network:
        """Read what ``fit_contextual`` wrote.

        Raises:
            DataError: the file is missing, damaged or of another version.
        """
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
            version, anchors, heads = (int(found.pop(name)) for name in ("version", "anchors", "heads"))
            trained_on = np.asarray(found.pop("trained_on"), np.int64)
        except FileNotFoundError:
            raise DataError(f"{path}: there is no such file; `fit_contextual` writes it.") from None
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: holds no contextual network ({error}); train it again.") from None
        if version != VERSION:
            raise DataError(f"{path}: has version {version}, this aeret reads {VERSION}; train it again.")
        blocks = sum(name.endswith(".mix.kernel") for name in found)
        if "start.kernel" not in found:
            raise DataError(f"{path}: holds no contextual network (no start.kernel); train it again.")
        width = found["start.kernel"].shape[-1]
        shapes = {
            "start.kernel": (anchors, width),
            "start.bias": (width,),
            "last.gamma": (width,),
            "last.beta": (width,),
        }
        for number in range(blocks):
            shapes |= {f"block{number}.{layer}": shape for layer, shape in _shapes(width).items()}
        if missing := sorted(shapes.keys() - found.keys()):
            raise DataError(f"{path}: lacks {', '.join(missing)}; train it again.")
        arrays = {name: found[name] for name in shapes}
        fit = all(arrays[name].shape == shape for name, shape in shapes.items()) and heads > 0 and width % heads == 0
        if not fit or not all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values()):
            raise DataError(f"{path}: its arrays do not fit each other or are not finite; train it again.")
        return cls(arrays, anchors, heads, blocks, trained_on)

    def cosines(self, affinities: Vectors) -> Vectors:
        """Return the cosines float32 (t - 1,) of the results to the query, from affinities float32 (t, anchors)."""
        hidden = self._dense("start", affinities)
        for number in range(self.blocks):
            hidden = self._attention(f"block{number}", hidden)
        outputs = unit(self._norm("last", hidden))
        return np.asarray(similarities(outputs[:1], outputs[1:])[0], np.float32)

    def _attention(self, name: str, inputs: Vectors) -> Vectors:
        length, width = inputs.shape
        mixed = self._dense(f"{name}.mix", self._norm(f"{name}.norm1", inputs))
        asks, keys, values = mixed.reshape(length, 3, self.heads, -1).transpose(1, 2, 0, 3)
        weights = asks @ keys.transpose(0, 2, 1) * np.float32((width // self.heads) ** -0.5)
        weights = np.exp(weights - weights.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        joined = np.ascontiguousarray((weights @ values).transpose(1, 0, 2)).reshape(length, width)
        hidden = inputs + self._dense(f"{name}.join", joined)
        wide = self._dense(f"{name}.widen", self._norm(f"{name}.norm2", hidden))
        half = np.float32(0.5)
        wide *= half * (1 + erf(wide * np.sqrt(half)))
        return np.asarray(hidden + self._dense(f"{name}.narrow", wide), np.float32)

    def _dense(self, name: str, inputs: Vectors) -> Vectors:
        return np.asarray(inputs @ self.arrays[f"{name}.kernel"] + self.arrays[f"{name}.bias"], np.float32)

    def _norm(self, name: str, inputs: Vectors) -> Vectors:
        centred = inputs - inputs.mean(axis=-1, keepdims=True)
        deviation = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _EPSILON)
        return np.asarray(centred / deviation * self.arrays[f"{name}.gamma"] + self.arrays[f"{name}.beta"], np.float32)


def _shapes(width: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of one block."""
    shapes: dict[str, tuple[int, ...]] = {f"{norm}.{part}": (width,) for norm in ("norm1", "norm2") for part in _NORM}
    for name, (inputs, units) in {"mix": (1, 3), "join": (1, 1), "widen": (1, 4), "narrow": (4, 1)}.items():
        shapes |= {f"{name}.kernel": (inputs * width, units * width), f"{name}.bias": (units * width,)}
    return shapes


def affinities(query: Vectors, vectors: Vectors, anchors: int) -> Vectors:
    """Return cosines of query and results to the first ``anchors`` of them, float32 (k + 1, anchors); 0 where none."""
    listed = unit(np.concatenate([query[None], vectors]))
    out = np.zeros((len(listed), anchors), np.float32)
    out[:, : len(listed)] = similarities(listed, listed[:anchors])
    return out


def _score(block: Block, options: Mapping[str, Any]) -> Scores:
    network: Network = options["network"]
    return -network.cosines(affinities(block.query, block.vectors, network.anchors)).astype(np.float64)


def _prepare(options: dict[str, Any], task: Task) -> None:
    if options["network"] is None:
        raise UsageError(
            "The re-ranker 'contextual' needs network=, the file that `aeret.training.contextual.fit_contextual` wrote "
            "from the train split."
        )
    if not isinstance(options["network"], Network):
        options["network"] = Network.load(Path(options["network"]))


def _network(value: Any) -> Any:
    if value is not None and not isinstance(value, str | Path | Network):
        raise ValueError("a path, or a Network that was loaded before")
    return value


CONTEXTUAL = Reranker(
    "contextual",
    "Ouyang et al., Contextual similarity aggregation with self-attention for visual re-ranking, NeurIPS 2021",
    {"network": Option(None, "the file of the trained network", _network)},
    _score,
    blas=True,
    prepare=_prepare,
)
