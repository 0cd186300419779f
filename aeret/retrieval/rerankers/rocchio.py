"""Move the query towards relevant photos and away from non-relevant ones.

Rocchio, "Relevance feedback in information retrieval", 1971; weights of Manning, Raghavan and Schutze 2008, section
9.1.1: ``q' = unit(q + beta mean(relevant) - gamma mean(non-relevant))``, all of unit length; results are scored by
their cosine to q'. Measure feedback on photos that were *not* judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.retrieval.ranking import Ranking
from aeret.retrieval.rerankers.options import per_query, real
from aeret.retrieval.rerankers.reranker import Candidates, Reranker, Scores, cosines, unit

_JUDGED = ("relevant", "non_relevant")


def _score(found: Candidates, options: Mapping[str, Any]) -> Scores | None:
    moved = unit(found.query).astype(np.float64)
    judged = [options[name][found.number] for name in _JUDGED]
    if not sum(map(len, judged)):
        return None
    for rows, weight in zip(judged, (options["beta"], -options["gamma"]), strict=True):
        if len(rows):
            moved += weight * unit(np.asarray(found.gallery[rows], np.float32)).astype(np.float64).mean(axis=0)
    return -cosines(unit(moved), unit(found.vectors))


def _prepare(options: dict[str, Any], ranking: Ranking, gallery: NDArray[np.floating]) -> None:
    queries = len(ranking)
    for name in _JUDGED:
        lists = [()] * queries if options[name] is None else options[name]
        if len(lists) != queries:
            raise UsageError(f"{name!r} must hold one list of gallery rows per query, {queries}; got {len(lists)}.")
        options[name] = [_rows(each, name, number, len(gallery)) for number, each in enumerate(lists)]


def _rows(given: Any, name: str, number: int, gallery: int) -> NDArray[np.int64]:
    rows = np.asarray(given)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise UsageError(f"{name!r} of query {number} must be a list of gallery rows, got {given!r}.")
    if rows.size and not (rows.min() >= 0 and rows.max() < gallery):
        raise UsageError(f"{name!r} of query {number} must lie between 0 and {gallery - 1}, got {rows.tolist()}.")
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
