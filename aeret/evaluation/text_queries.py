"""Evaluate text queries, made of what is true of the query photos and judged by the gallery's masks.

Every kind of query that the grammar knows is drawn: pairs of categories in a relation, a category at a place, big or
small, in number, two categories together, one without another. A gallery photo is right if the whole query holds in its
masks. Beside each P@10 stand a random order, the label part alone, *true labels* (the expectation of an oracle that
knows every photo's categories and nothing of where they are), and the most that ten results can reach.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.evaluation.significance import bootstrap_interval, holm, randomisation_test
from aeret.retrieval.text.geometry import areas, placed, related
from aeret.retrieval.text.grammar import parse
from aeret.retrieval.text.scene import SPOKEN, Scene, Thing
from aeret.retrieval.text.search import Floats, rank
from aeret.retrieval.text.things import Things
from aeret.retrieval.text.truth import holds
from aeret.retrieval.text.typical import Typical
from aeret.retrieval.text.vocabulary import Vocabulary
from aeret.rng import generator

TOP = 10
PLACES = {
    "left": "at the left",
    "right": "at the right",
    "top": "at the top",
    "bottom": "at the bottom",
    "middle": "in the middle",
}
KINDS = ("relation", "place", "size", "count", "together", "without")
_ALONE = "alone"
_RESAMPLES = 10_000


@dataclass(frozen=True)
class TextQuery:
    """One query of the evaluation."""

    kind: str
    """One of :data:`KINDS`."""
    text: str
    scene: Scene


def text_queries(
    things: Things, vocabulary: Vocabulary, typical: Typical, seed: int, per_kind: int = 60, fewest: int = 3
) -> list[TextQuery]:
    """Draw queries that are true in at least ``fewest`` of the query photos, up to ``per_kind`` of each kind.

    Args:
        things: in the masks of the query photos.
        vocabulary: of the collection.
        typical: what ``big`` and ``small`` mean.
        seed: the run's seed.
        per_kind: most queries of one kind.
        fewest: query photos a query must be true in.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for photo in range(len(things)):
        counts.update(set(_true_of(*things.of(photo), vocabulary.names, typical)))
    counts.update(_without(counts, vocabulary.names, fewest))
    found = []
    for kind in KINDS:
        texts = sorted(text for (each, text), count in counts.items() if each == kind and count >= fewest)
        rng = generator(seed, "text queries", kind)
        drawn = sorted(rng.choice(len(texts), min(per_kind, len(texts)), replace=False).tolist())
        found += [TextQuery(kind, texts[number], parse(texts[number], vocabulary)) for number in drawn]
    return found


def precision_table(
    queries: Sequence[TextQuery],
    parts: Sequence[Mapping[str, Floats]],
    things: Things,
    typical: Typical,
    seed: int,
    weights: Mapping[str, float] | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return P@10 by kind of query, and of each query.

    Args:
        queries: of :func:`text_queries`.
        parts: distances of the gallery for each query, ``labels`` and optionally ``layout``, float64 (g,).
        things: in the masks of the gallery.
        typical: what ``big`` and ``small`` mean.
        seed: of the statistics.
        weights: of the parts; those of :mod:`aeret.retrieval.text.search` by default.

    Returns:
        A row per kind and one for ``all``: queries, P@10 of both parts fused with its 95 % interval, of each part,
        of a random order, of true labels, the most possible; the gain over labels alone with its interval and Holm's p
        of a paired randomisation test. And a row per query; queries that hold nowhere in the gallery are left out.
    """
    rows = []
    for query, part in zip(queries, parts, strict=True):
        right = holds(query.scene, things, typical)
        if not right.any():
            continue
        candidates = holds(_labels_only(query.scene), things, typical)
        alone = {
            name: _precision({name: part[name]}, right, {name: 1.0}) for name in ("labels", "layout") if name in part
        }
        rows.append(
            {
                "kind": query.kind,
                "query": query.text,
                "right": int(right.sum()),
                "P@10": _precision(part, right, weights),
                "labels": alone["labels"],
                "layout": alone.get("layout", np.nan),
                "random": right.mean(),
                "true labels": right.sum() / candidates.sum() * min(1.0, candidates.sum() / TOP),
                "most": min(1.0, right.sum() / TOP),
            }
        )
    table = pd.DataFrame(rows)
    if table.empty:
        return table, table
    kinds = list(dict.fromkeys(table["kind"]))
    summary = pd.DataFrame(
        [_summary(kind, table if kind == "all" else table[table["kind"] == kind], seed) for kind in ["all", *kinds]]
    )
    summary["p"] = holm(summary["p"].to_numpy(np.float64))
    return summary, table


def _summary(kind: str, table: pd.DataFrame, seed: int) -> dict[str, Any]:
    values = table["P@10"].to_numpy(np.float64)[:, None]
    gain = values - table["labels"].to_numpy(np.float64)[:, None]
    low, high = bootstrap_interval(values, generator(seed, "text bootstrap"), _RESAMPLES)
    gain_low, gain_high = bootstrap_interval(gain, generator(seed, "text bootstrap"), _RESAMPLES)
    means = {name: float(table[name].mean()) for name in ("labels", "layout", "random", "true labels", "most")}
    return {
        "kind": kind,
        "queries": len(table),
        "P@10": float(values.mean()),
        "low": float(low[0]),
        "high": float(high[0]),
        **means,
        "gain": float(gain.mean()),
        "gain low": float(gain_low[0]),
        "gain high": float(gain_high[0]),
        "p": float(randomisation_test(gain, generator(seed, "text test"))[0]),
    }


def _precision(part: Mapping[str, Floats], right: NDArray[np.bool_], weights: Mapping[str, float] | None) -> float:
    return float(right[rank(part, TOP, weights).ranking.rows[0]].sum() / TOP)


def _labels_only(scene: Scene) -> Scene:
    """Return the query reduced to its categories."""
    return Scene(tuple(Thing(row) for row in dict.fromkeys(each.category for each in scene.things)), (), scene.absent)


def _true_of(
    category: NDArray[np.int16], boxes: NDArray[np.float32], names: Sequence[str], typical: Typical
) -> list[tuple[str, str]]:
    """Return kind and text of every query that holds in one photo."""
    found: list[tuple[str, str]] = []
    for kind, spoken in SPOKEN.items():
        table = related(kind, boxes, boxes)
        np.fill_diagonal(table, False)
        for first, second in zip(*np.nonzero(table), strict=True):
            if category[first] != category[second]:
                found.append(("relation", f"{names[category[first]]} {spoken} {names[category[second]]}"))
    for place, spoken in PLACES.items():
        found += [("place", f"{names[row]} {spoken}") for row in category[placed(place, boxes)]]
    area = areas(boxes)
    found += [("size", f"big {names[row]}") for row in category[area >= typical.big[category]]]
    found += [("size", f"small {names[row]}") for row in category[area <= typical.small[category]]]
    present, number = np.unique(category, return_counts=True)
    found += [("count", f"two {names[row]}") for row in present[number >= 2]]
    pairs = [(names[first], names[second]) for first in present for second in present if first < second]
    found += [("together", f"{first} and {second}") for first, second in pairs]
    return found + [(_ALONE, names[row]) for row in present]


def _without(counts: Counter[tuple[str, str]], names: Sequence[str], fewest: int) -> Counter[tuple[str, str]]:
    """Return "A without B" for categories that often share a photo."""
    found: Counter[tuple[str, str]] = Counter()
    for first in names:
        for second in names:
            together = max(counts["together", f"{first} and {second}"], counts["together", f"{second} and {first}"])
            if first != second and together >= fewest:
                found["without", f"{first} without {second}"] = counts[_ALONE, first] - together
    return found
