"""Train the contextual re-ranker for a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NEEDED = ("prepare", "train-cnn")
"""Stages whose artifacts are read."""


def train_reranker(
    inputs: Mapping[str, Path], file: Path, seed: int, photos: int = 2000, results: int = 127, epochs: int = 30
) -> int:
    """Write a network trained on the run's train photos, and return how many it saw.

    The CNN has learnt the labels of the same photos, so that these lists are purer than those of a search.

    Args:
        inputs: the artifacts of :data:`NEEDED`.
        file: written.
        seed: of the training.
        photos: most train photos used, evenly spaced.
        results: length of their result lists; shorter if there are fewer photos.
        epochs: of the training.

    Raises:
        UsageError: there are fewer than two train photos.
    """
    import numpy as np

    from aeret.data.prepared import Prepared
    from aeret.embeddings.normalise import l2_normalise
    from aeret.errors import UsageError
    from aeret.models.saved_joint import SavedJoint
    from aeret.retrieval import exhaustive
    from aeret.training.contextual import ContextualOptions, fit_contextual

    prepared = Prepared.open(inputs["prepare"])
    train = prepared.split("train")
    if len(train) < 2:
        raise UsageError(f"The contextual re-ranker needs two train photos or more; this run has {len(train)}.")
    rows = np.unique(np.linspace(0, len(train) - 1, min(photos, len(train))).round().astype(np.int64))
    model = SavedJoint.load(inputs["train-cnn"])
    chunks = np.array_split(rows, -(-len(rows) // 256))
    vectors = l2_normalise(np.concatenate([model.predict(train.photos(each))["embedding"] for each in chunks]))
    every = np.arange(len(rows))
    lists = exhaustive.search(vectors, vectors, min(results, len(rows) - 1), every).rows
    labels = train.labels[rows]
    shared = (labels[:, None] & labels[lists]).sum(axis=2)
    gains = shared / np.maximum((labels[:, None] | labels[lists]).sum(axis=2), 1)  # Jaccard
    barred = np.concatenate([prepared.split(name).photo_ids for name in ("query", "gallery")])
    options = ContextualOptions(anchors=min(64, lists.shape[1] + 1), epochs=epochs)
    fit_contextual(vectors, train.photo_ids[rows], lists, gains, barred, options, seed).save(file)
    return len(rows)
