"""Train the contextual re-ranker, on train photos only.

The lists are those of train photos searched among train photos, and the file that is written says which photos these
were. One flaw stays: the CNN has learnt the labels of the same photos, so its lists are purer here than they will be in
service; a list of another collection, or of photos the CNN has not seen, is the better teacher where there is one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeret.errors import DataError, UsageError
from aeret.models.contextual import ContextualModel
from aeret.progress import Progress, silent
from aeret.rng import generator
from aeret.settings import TrainingSettings
from aeret.training.checkpoint import clear
from aeret.training.feeds import Feed
from aeret.training.fit import FitOptions, History, fit
from aeret.training.precision import precision

FILE = "contextual.npz"
Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


class ListFeed(Feed):
    """Result lists: x are affinities, float32 (b, k + 1, anchors); y the gains of the results, float32 (b, k).

    Args:
        vectors: of unit length, float32 (n, d).
        queries: rows of the queries, int64 (q,).
        lists: rows of their results, best first, int64 (q, k).
        gains: of the results, float32 (q, k).
        anchors: how many of the query and its first results affinities are measured to.
        batch_size, seed, training: see :class:`Feed`.
    """

    def __init__(
        self,
        vectors: Floats,
        queries: Rows,
        lists: Rows,
        gains: Floats,
        anchors: int,
        batch_size: int,
        seed: int,
        training: bool,
    ) -> None:
        self.vectors, self.gains, self.anchors = vectors, gains, anchors
        self.photos = np.concatenate([queries[:, None], lists], axis=1)
        super().__init__(len(queries), batch_size, seed, training)

    def batch(self, epoch: int, index: int) -> tuple[Floats, Floats]:
        """Return (affinities, gains); see :meth:`Feed.batch`."""
        rows = self.rows(epoch, index)
        listed = self.vectors[self.photos[rows]]
        return listed @ listed[:, : self.anchors].transpose(0, 2, 1), self.gains[rows]


def fit_contextual(
    vectors: Floats,
    ids: Rows,
    queries: Rows,
    lists: Rows,
    gains: Floats,
    folder: Path,
    *,
    barred: Rows,
    settings: TrainingSettings | None = None,
    anchors: int = 64,
    held_out: float = 0.1,
    seed: int = 0,
    progress: Progress = silent,
    **network: Any,
) -> History:
    """Train on the lists of train photos, and write ``folder/contextual.npz``.

    Args:
        vectors: embeddings of the train photos, float32 (n, d).
        ids: their photo ids, int64 (n,).
        queries: which rows are asked, int64 (q,).
        lists: the rows found for each, best first, without itself, int64 (q, k); k of 127 is the scale of the defaults.
        gains: relevance of each result to its query in [0, 1], float32 (q, k).
        folder: where the training keeps its state and the network is written.
        barred: photo ids of the collection's queries and gallery: none of them may be among ``ids``.
        settings: how to train; 30 epochs of batches of 32 where not given.
        anchors: see :class:`aeret.models.contextual.ContextualModel`; at most k + 1.
        held_out: share of the queries that choose the epoch instead of teaching.
        seed: of the start, the order, dropout and the choice of the held-out.
        progress: shows one bar an epoch.
        network: further arguments of the model.

    Raises:
        DataError: a barred photo is among ``ids``.
        UsageError: shapes do not fit, or there are too few lists.
    """
    leaked = np.intersect1d(ids, barred)
    if len(leaked):
        raise DataError(
            f"{len(leaked)} of the photos to train the contextual re-ranker on are query or gallery photos, the first "
            f"with id {leaked[0]}: train it on the split 'train' alone."
        )
    settings = settings or TrainingSettings(epochs=30, batch_size=32, learning_rate=1e-3, weight_decay=1e-2)
    _check(vectors, ids, queries, lists, gains, anchors, held_out)
    lengths = np.maximum(np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1, keepdims=True)), 1e-12)
    unit = (vectors / lengths).astype(np.float32)
    order = generator(seed, "contextual", "held out").permutation(len(queries))
    held = round(held_out * len(queries))

    def feed(chosen: Rows, training: bool) -> ListFeed:
        chosen = np.sort(chosen)
        parts = (queries[chosen], lists[chosen], gains[chosen].astype(np.float32))
        return ListFeed(unit, *parts, anchors, settings.batch_size, seed, training)

    with precision(settings.mixed_precision):
        model = ContextualModel(anchors, seed=seed, **network)
    history = fit(
        model,
        feed(order[held:], True),
        feed(order[:held], False) if held else None,
        settings,
        folder / "training",
        seed,
        FitOptions(progress, "train contextual", "list"),
    )
    model.write(folder / FILE, ids[np.union1d(queries, lists)])
    clear(folder / "training")
    return history


def _check(
    vectors: Floats, ids: Rows, queries: Rows, lists: Rows, gains: Floats, anchors: int, held_out: float
) -> None:
    if vectors.ndim != 2 or ids.shape != (len(vectors),):
        raise UsageError(f"expected vectors (n, d) and ids (n,); got {vectors.shape} and {ids.shape}.")
    if lists.ndim != 2 or queries.shape != lists.shape[:1] or gains.shape != lists.shape:
        raise UsageError(
            f"expected queries (q,), lists (q, k) and gains (q, k); got {queries.shape}, {lists.shape}, {gains.shape}."
        )
    if not 0 <= held_out < 1 or len(queries) - round(held_out * len(queries)) < 1:
        raise UsageError(f"held_out={held_out} of {len(queries)} lists leaves none to train on.")
    if not 1 <= anchors <= lists.shape[1] + 1:
        raise UsageError(
            f"anchors={anchors} must be from 1 to the length of the lists with their query, {lists.shape[1] + 1}."
        )
    for name, rows in (("queries", queries), ("lists", lists)):
        if rows.size and not (rows.min() >= 0 and rows.max() < len(vectors)):
            raise UsageError(f"{name} must be rows of the {len(vectors)} vectors, got {rows.min()} to {rows.max()}.")
    if not (np.isfinite(vectors).all() and gains.min() >= 0 and gains.max() <= 1):
        raise UsageError("vectors must be finite and gains lie in [0, 1].")
