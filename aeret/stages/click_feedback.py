"""Simulate learning from clicks on a finished run; no stage of its own: it reads the artifacts its stages left."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aeret.evaluation.clicks import Simulation

NEEDED = ("prepare", "embed")
"""Stages whose artifacts are read."""
_MOST_QUERIES = 1000


def simulate_run(inputs: Mapping[str, Path], relevance: str, seed: int, rounds: int, noise: float) -> Simulation:
    """Serve the run's query photos to simulated users; at most 1,000 of them, evenly spaced.

    Args:
        inputs: the artifacts of :data:`NEEDED`.
        relevance: what users find relevant, a rule of :mod:`aeret.evaluation.relevance`.
        seed: of the simulation.
        rounds: queries asked of each of eight users.
        noise: of the clicks.

    Raises:
        UsageError: a folder of photos was embedded, of which nothing is known to be relevant.
        UnknownNameError: no such relevance.
    """
    import numpy as np

    from aeret.data.prepared import Prepared
    from aeret.embeddings.store import EmbeddingSet
    from aeret.errors import UsageError
    from aeret.evaluation.clicks import SHOWN, query_contexts, simulate
    from aeret.evaluation.relevance import Truth
    from aeret.evaluation.relevance import relevance as bind
    from aeret.retrieval.feedback.channels import channel_vectors, ranked, weightings

    if (inputs["embed"] / "photos").is_dir():
        raise UsageError("this run embedded a folder of photos: nothing is known of what a user would find relevant.")
    prepared = Prepared.open(inputs["prepare"])
    gallery = prepared.split("gallery")
    queries = gallery if prepared.leave_one_out else prepared.split("query")
    found = EmbeddingSet.open(inputs["embed"] / "gallery")
    asking = found if prepared.leave_one_out else EmbeddingSet.open(inputs["embed"] / "query")
    rows = np.unique(np.linspace(0, len(queries) - 1, min(_MOST_QUERIES, len(queries))).round().astype(np.int64))
    own = rows if prepared.leave_one_out else np.full(len(rows), -1)
    every = np.arange(len(queries)) if prepared.leave_one_out else np.full(len(queries), -1)
    truth = Truth(queries.labels, gallery.labels, every, queries.masks, gallery.masks)
    rule = bind(relevance, truth)
    channels = channel_vectors(found.vectors, found.matrices["codes"], found.matrices["label_scores"])
    wanted = channels
    if asking is not found:
        wanted = channel_vectors(asking.vectors, asking.matrices["codes"], asking.matrices["label_scores"])
    wanted = {name: vectors[rows] for name, vectors in wanted.items()}
    weights = weightings(len(channels))
    shown = ranked(wanted, channels, weights, SHOWN, own)
    gains = np.stack([rule.at(rows, np.ascontiguousarray(arm)) for arm in shown]).astype(np.float64)
    contexts = query_contexts(asking.matrices["label_scores"][rows], asking.matrices["codes"][rows])
    return simulate(gains, contexts, weights, seed, rounds=rounds, noise=noise)
