"""Relevance feedback: the query moves towards photos that were judged relevant, and away from those that were not.

Rocchio, "Relevance feedback in information retrieval", 1971; weights of Manning, Raghavan and Schutze 2008, section
9.1.1: ``q' = unit(q + beta mean(relevant) - gamma mean(non-relevant))``, all of unit length; the block is scored by
cosine to q'. A query without judgements keeps its order.

The judged photos may lie anywhere in the gallery. They themselves rise or fall, of course: measure what feedback is
worth on the photos that were *not* judged (the residual collection), or it is praised for repeating what it was told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.retrieval.rerankers.options import per_query, real
from aeret.retrieval.rerankers.reranker import Block, Reranker, Task
from aeret.retrieval.rerankers.similarities import Scores, unit, unlikeness

_JUDGED = ("relevant", "non_relevant")


def _score(block: Block, options: Mapping[str, Any]) -> Scores | None:
    moved = unit(block.query).astype(np.float64)
    judged = [options[name][block.number] for name in _JUDGED]
    if not sum(map(len, judged)):
        return None
    for rows, weight in zip(judged, (options["beta"], -options["gamma"]), strict=True):
        if len(rows):
            moved += weight * unit(np.asarray(block.gallery[rows], np.float32)).astype(np.float64).mean(axis=0)
    return unlikeness(unit(moved), unit(block.vectors))


def _prepare(options: dict[str, Any], task: Task) -> None:
    queries = len(task.ranking)
    for name in _JUDGED:
        lists = options[name]
        if lists is None:
            lists = [()] * queries
        if len(lists) != queries:
            raise UsageError(f"{name!r} must hold one list of gallery rows per query, {queries}; got {len(lists)}.")
        options[name] = [_rows(each, name, number, len(task.gallery)) for number, each in enumerate(lists)]


def _rows(given: Any, name: str, number: int, gallery: int) -> NDArray[np.int64]:
    rows = np.asarray(given)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise UsageError(f"{name!r} of query {number} must be a list of gallery rows, got {given!r}.")
    if rows.size and not (rows.min() >= 0 and rows.max() < gallery):
        raise UsageError(f"{name!r} of query {number} must lie between 0 and {gallery - 1}, got {rows.tolist()}.")
    # Each once, in one order: the same judgements give the same sum.
    return np.unique(rows).astype(np.int64)


ROCCHIO = Reranker(
    "rocchio",
    "Rocchio, Relevance feedback in information retrieval, 1971",
    {
        "relevant": per_query("a list of gallery rows judged relevant"),
        "non_relevant": per_query("a list of gallery rows judged not relevant"),
        "beta": real(0.75, 0.0, math.inf, "the weight of the mean of the relevant"),
        "gamma": real(0.15, 0.0, math.inf, "the weight of the mean of the non-relevant"),
    },
    _score,
    pairwise=False,
    prepare=_prepare,
)
