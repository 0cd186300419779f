"""Score each result in the light of the whole list, by a small trained transformer.

Ouyang, Wu, Li, Tang and Liu, "Contextual similarity aggregation with self-attention for visual re-ranking", NeurIPS
2021. A photo enters by its cosines to the query and the first results (:mod:`aeret.training.contextual`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from aeret.embeddings.distances import Vectors
from aeret.errors import UsageError
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers.options import Option
from aeret.retrieval.rerankers.reranker import Candidates, Reranker, Scores, cosines, unit


class Network(Protocol):
    """A trained network."""

    anchors: int

    def __call__(self, affinities: Vectors) -> Vectors:
        """Return cosines float32 (k,) of the results to the query, from affinities float32 (k + 1, anchors)."""
        ...


def affinities(query: Vectors, vectors: Vectors, anchors: int) -> Vectors:
    """Return cosines of query and results to the first ``anchors`` of them, float32 (k + 1, anchors), padded by 0."""
    listed = unit(np.concatenate([query[None], vectors]))
    out = np.zeros((len(listed), anchors), np.float32)
    out[:, : len(listed)] = cosines(listed, listed[:anchors])
    return out


def _score(found: Candidates, options: Mapping[str, Any]) -> Scores:
    network: Network = options["network"]
    return -network(affinities(found.query, found.vectors, network.anchors))


def _prepare(options: dict[str, Any], ranking: Ranking, gallery: Any) -> None:
    if options["network"] is None:
        raise UsageError("The re-ranker 'contextual' needs network=: train one with `aeret index train-reranker`.")


CONTEXTUAL = Reranker(
    "contextual",
    "Ouyang et al., Contextual similarity aggregation with self-attention for visual re-ranking, NeurIPS 2021",
    {
        "network": Option(
            None,
            "the trained network",
            "what ContextualNetwork.open returned",
            lambda value: value is None or (callable(value) and hasattr(value, "anchors")),
        )
    },
    _score,
    prepare=_prepare,
)
