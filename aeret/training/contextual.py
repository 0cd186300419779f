"""Train the contextual re-ranker on the result lists of train photos.

Ouyang et al., NeurIPS 2021, scaled down: width 128 instead of 768, 4 heads instead of 12, and lists of 128 instead of
512. Layers are normalised before attention (Xiong et al. 2020), which trains without a warm-up.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from aeret.artifacts import replacing_file
from aeret.errors import DataError, UsageError
from aeret.rng import derive, generator

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
_TEMPERATURE = 0.1
"""Of the listwise loss. The paper has 2, which teaches nothing if most results share something with the query."""
_REBUILT = 0.2
"""Weight of the reconstruction of the affinities."""


@dataclass(frozen=True)
class ContextualOptions:
    """Size of the network and length of its training."""

    anchors: int = 64
    """Query and first results to which affinities are measured; at most the length of a list with its query."""
    width: int = 128
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1
    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 1e-3
    held_out: float = 0.1
    """Share of the lists that choose the epoch instead of teaching."""


@dataclass(frozen=True)
class ContextualNetwork:
    """A trained network: what the re-ranker ``contextual`` takes as ``network``."""

    model: Any
    options: ContextualOptions
    trained_on: Rows
    """Ids of the photos that its training saw, int64 (n,); queries and gallery should hold none of them."""

    @property
    def anchors(self) -> int:
        """Columns of the affinities."""
        return self.options.anchors

    def __call__(self, affinities: Floats) -> Floats:
        """Return cosines float32 (k,) of the results to the query, from affinities float32 (k + 1, anchors)."""
        return np.asarray(keras.ops.convert_to_numpy(self.model(affinities[None], training=False)["cosines"])[0])

    def save(self, path: Path) -> None:
        """Write the network to an ``.npz`` file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        weights: dict[str, Any] = {f"{number:04d}": each.numpy() for number, each in enumerate(self.model.weights)}
        options = np.array(json.dumps(asdict(self.options)))
        with replacing_file(path, path.with_name(f".{path.name}")) as file:
            np.savez(file, options=options, trained_on=self.trained_on, **weights)

    @classmethod
    def open(cls, path: Path) -> ContextualNetwork:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing or damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                options = ContextualOptions(**json.loads(str(file["options"])))
                trained_on = file["trained_on"]
                weights = [file[name] for name in sorted(set(file.files) - {"options", "trained_on"})]
            model = build_network(options, seed=0)
            for variable, weight in zip(model.weights, weights, strict=True):
                variable.assign(weight)
        except FileNotFoundError:
            raise DataError(f"{path}: there is no such file; `aeret index train-reranker` writes it.") from None
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: holds no contextual network ({error}); train it again.") from None
        return cls(model, options, trained_on)


def fit_contextual(
    vectors: Floats,
    ids: Rows,
    lists: Rows,
    gains: Floats,
    barred: Rows,
    options: ContextualOptions | None = None,
    seed: int = 0,
) -> ContextualNetwork:
    """Return a network trained on the result list of every train photo.

    Args:
        vectors: unit embeddings of the train photos, float32 (n, d).
        ids: their photo ids, int64 (n,).
        lists: the rows found for each, best first, without itself, int64 (n, k).
        gains: relevance of each result to its query in [0, 1], float32 (n, k).
        barred: photo ids of queries and gallery, which must not be among ``ids``.
        options: of the network and its training.
        seed: of initial weights, order, dropout and held-out lists.

    Raises:
        DataError: a barred photo is among ``ids``.
        UsageError: shapes do not fit, or no list is left to train on.
    """
    options = options or ContextualOptions()
    _check(ids, lists, gains, barred, options)
    held = round(options.held_out * len(lists))
    order = generator(seed, "contextual", "order").permutation(len(lists))
    listed = vectors[np.concatenate([np.arange(len(lists))[:, None], lists], axis=1)]
    x = np.asarray(listed @ listed[:, : options.anchors].transpose(0, 2, 1), np.float32)
    model = build_network(options, seed)
    model.compile(
        keras.optimizers.AdamW(options.learning_rate, weight_decay=1e-2),
        loss={"cosines": listwise_loss, "rebuilt": rebuilt_loss},
        loss_weights={"cosines": 1.0, "rebuilt": _REBUILT},
        jit_compile=False,
    )
    best = keras.callbacks.EarlyStopping(patience=options.epochs, restore_best_weights=True)
    train, validation = order[held:], order[:held]

    def part(rows: Rows) -> tuple[Floats, dict[str, Floats]]:
        return x[rows], {"cosines": gains[rows].astype(np.float32), "rebuilt": x[rows]}

    model.fit(
        *part(train),
        validation_data=part(validation) if held else None,
        batch_size=options.batch_size,
        epochs=options.epochs,
        shuffle=False,  # Keras shuffles by the global seed; the order was drawn above
        callbacks=[best] if held else None,
        verbose=0,
    )
    return ContextualNetwork(model, options, np.sort(ids))


def _check(ids: Rows, lists: Rows, gains: Floats, barred: Rows, options: ContextualOptions) -> None:
    leaked = np.intersect1d(ids, barred)
    if len(leaked):
        raise DataError(
            f"{len(leaked)} of the photos to train the contextual re-ranker on are query or gallery photos, the first "
            f"with id {leaked[0]}: train it on the split 'train' alone."
        )
    if len(ids) != len(lists) or gains.shape != lists.shape:
        raise UsageError(f"{len(ids)} photos need one list and gains each; got {lists.shape}, {gains.shape}.")
    if not 1 <= options.anchors <= lists.shape[1] + 1 or round(options.held_out * len(lists)) >= len(lists):
        raise UsageError(
            f"{len(lists)} lists of {lists.shape[1]} results do not suffice for anchors={options.anchors} and "
            f"held_out={options.held_out}; lower them."
        )


def build_network(options: ContextualOptions, seed: int) -> Any:
    """Return the untrained model from affinities (b, t, anchors) to ``cosines`` (b, t - 1) and ``rebuilt``."""
    layers, number = keras.layers, iter(range(10_000))

    def next_seed() -> int:
        return derive(seed, "contextual", next(number)) % 2**31

    def dense(units: int, activation: str | None = None, name: str | None = None) -> Callable[[Any], Any]:
        start = keras.initializers.GlorotUniform(next_seed())
        return layers.Dense(units, activation, kernel_initializer=start, name=name)  # type: ignore[no-any-return]

    inputs = keras.Input((None, options.anchors))
    hidden = dense(options.width)(inputs)
    for _ in range(options.layers):
        start = keras.initializers.GlorotUniform(next_seed())
        attention = layers.MultiHeadAttention(
            options.heads, options.width // options.heads, kernel_initializer=start, seed=next_seed()
        )
        normal = layers.LayerNormalization()(hidden)
        hidden = hidden + layers.Dropout(options.dropout, seed=next_seed())(attention(normal, normal))
        wide = dense(4 * options.width, "gelu")(layers.LayerNormalization()(hidden))
        hidden = hidden + layers.Dropout(options.dropout, seed=next_seed())(dense(options.width)(wide))
    hidden = layers.LayerNormalization()(hidden)
    unit = layers.UnitNormalization()(hidden)
    cosines = keras.ops.sum(unit[:, 1:] * unit[:, :1], axis=-1)
    return keras.Model(inputs, {"cosines": cosines, "rebuilt": dense(options.anchors, name="rebuilt")(hidden)})


def listwise_loss(gains: Any, cosines: Any) -> Any:
    """Return ``-log(sum g e^(c / t) / sum e^(c / t))`` per list, (b,); 0 for lists without any gain."""
    odds = keras.ops.exp(cosines / _TEMPERATURE)
    share = keras.ops.sum(gains * odds, axis=1) / keras.ops.sum(odds, axis=1)
    return keras.ops.where(share > 0, -keras.ops.log(keras.ops.maximum(share, 1e-12)), 0.0)


def rebuilt_loss(affinities: Any, rebuilt: Any) -> Any:
    """Return the squared distance of affinities to their reconstruction, both of unit length, (b, t)."""
    return 2 - 2 * keras.ops.sum(keras.ops.normalize(affinities) * keras.ops.normalize(rebuilt), axis=-1)
