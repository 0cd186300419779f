"""Simulate learning from clicks on a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from aeret.stages.embedded import Embedded

if TYPE_CHECKING:
    from aeret.evaluation.clicks import Simulation

NEEDED = ("prepare", "embed")
"""Stages whose artifacts are read."""
_MOST_QUERIES = 1000


def simulate_run(inputs: Mapping[str, Path], relevance: str, seed: int, rounds: int, noise: float) -> Simulation:
    """Serve at most 1,000 of the run's queries to simulated users.

    Args:
        inputs: the artifacts of :data:`NEEDED`.
        relevance: what users find relevant, a rule of :mod:`aeret.evaluation.relevance`.
        seed: of the simulation.
        rounds: queries asked of each of eight users.
        noise: of the clicks.

    Raises:
        UsageError: a folder of photos was embedded, which has no splits and no labels.
        UnknownNameError: no such relevance.
    """
    import numpy as np

    from aeret.evaluation.clicks import SHOWN, channel_vectors, query_contexts, ranked, simulate, weightings
    from aeret.evaluation.relevance import Truth
    from aeret.evaluation.relevance import relevance as bind

    embedded = Embedded(inputs)
    queries, gallery = embedded.queries, embedded.gallery
    asking, found = embedded.query_set, embedded.gallery_set
    every = embedded.exclude()
    rows = np.unique(np.linspace(0, len(queries) - 1, min(_MOST_QUERIES, len(queries))).round().astype(np.int64))
    truth = Truth(queries.labels, gallery.labels, every, queries.masks, gallery.masks)
    rule = bind(relevance, truth)
    channels, wanted = (
        channel_vectors(each.vectors, each.matrices["codes"], each.matrices["label_scores"]) for each in (found, asking)
    )
    wanted = {name: vectors[rows] for name, vectors in wanted.items()}
    weights = weightings(len(channels))
    shown = ranked(wanted, channels, weights, SHOWN, every[rows])
    gains = np.stack([rule.at(rows, np.ascontiguousarray(arm)) for arm in shown]).astype(np.float64)
    contexts = query_contexts(asking.matrices["label_scores"][rows], asking.matrices["codes"][rows])
    return simulate(gains, contexts, weights, seed, rounds=rounds, noise=noise)
