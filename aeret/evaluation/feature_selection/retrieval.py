"""Ask which dimensions of an embedding carry the retrieval.

Dimensions are chosen on gallery photos and their labels alone (searches validate by searching the gallery for its own
photos, each left out of its own results), and measured with the query photos. If queries and gallery are the same
photos, a seeded half of them is the gallery and the other half asks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.embeddings.normalise import l2_normalise
from aeret.errors import UsageError
from aeret.evaluation.feature_selection.technique import Choice, Chosen, Subject
from aeret.evaluation.metrics.averages import average
from aeret.evaluation.metrics.evaluator import measure as measured
from aeret.evaluation.metrics.judge import Judge
from aeret.evaluation.metrics.naming import Measure, parse
from aeret.evaluation.relevance import Truth
from aeret.retrieval.exhaustive import search
from aeret.rng import generator

_RANDOM_ORDERS = 20
Vectors = NDArray[np.floating]
Labels = NDArray[np.bool_]


def retrieval(
    queries: tuple[Vectors, Labels],
    gallery: tuple[Vectors, Labels],
    leave_one_out: bool,
    measure: str,
    similarity: str,
    photos: int,
    seed: int,
) -> Subject:
    """Return the question on an embedding.

    Args:
        queries: embeddings float32 (q, d) and labels bool (q, c).
        gallery: embeddings float32 (g, d) and labels bool (g, c).
        leave_one_out: whether the queries are the gallery.
        measure: a measure by labels with a cut-off, such as ``nDCG(rel=jaccard)@10``.
        similarity: ``cosine`` or ``euclidean``, of the chosen dimensions alone.
        photos: most queries and most gallery photos used, a seeded sample.
        seed: decides halves and samples.

    Raises:
        UsageError: the measure has no cut-off or asks for masks, or there are too few photos.
    """
    asked = parse(measure)
    if asked.cutoff is None or asked.rel == "layout":
        raise UsageError(
            f"feature_selection.measure={measure}: expected a measure by labels with a cut-off (P(rel=any)@10)."
        )
    rng = generator(seed, "feature-selection", "embedding")
    if leave_one_out:
        order = rng.permutation(len(gallery[0]))
        asking, found = order[: len(order) // 2], order[len(order) // 2 :]
    else:
        asking, found = rng.permutation(len(queries[0])), rng.permutation(len(gallery[0]))
    asking, found = np.sort(asking[:photos]), np.sort(found[:photos])
    if len(found) <= asked.cutoff or not len(asking):
        raise UsageError(
            f"{measure} needs a gallery of more than {asked.cutoff} photos and a query; there are {len(found)} and "
            f"{len(asking)} (with one set for both, half of it is the gallery)."
        )
    query, query_labels = queries[0][asking], queries[1][asking]
    base, labels = gallery[0][found], gallery[1][found]
    cosine = similarity == "cosine"
    inner = _Search((base, base), (labels, labels), np.arange(len(base)), asked, cosine)
    final = _Search((query, base), (query_labels, labels), np.full(len(query), -1), asked, cosine)
    return Subject(
        name="embedding",
        title="An embedding: which dimensions carry the retrieval?",
        variables="dimensions",
        value=str(asked),
        choice=Choice(base.astype(np.float64), labels, inner.value),
        measure=final.value,
        floor=final.floor(seed),
        facts={
            "gallery photos, chosen on": len(base),
            "query photos, measured on": len(query),
            "compared by": similarity,
            "queries and gallery": "two halves of one set" if leave_one_out else "two sets",
        },
    )


class _Search:
    """Values of exhaustive searches on some dimensions."""

    def __init__(
        self,
        sides: tuple[Vectors, Vectors],
        labels: tuple[Labels, Labels],
        exclude: Chosen,
        asked: Measure,
        cosine: bool,
    ) -> None:
        self._sides, self._exclude, self._asked, self._cosine = sides, exclude, asked, cosine
        self._judge = Judge(Truth(*labels, exclude))
        # The judge sums up what the gallery gives in all on first use, which must not be on several threads at once.
        self.value(np.arange(sides[0].shape[1]))

    def value(self, chosen: Chosen) -> float:
        """Return the value of a search on the chosen dimensions."""
        return self._value(*(side[:, chosen] for side in self._sides))

    def floor(self, seed: int) -> float:
        """Return the mean value of some random orders of the gallery."""
        rng = generator(seed, "feature-selection", "floor")
        drawn = ([rng.normal(size=(len(side), 16)) for side in self._sides] for _ in range(_RANDOM_ORDERS))
        return float(np.mean([self._value(*sides) for sides in drawn]))

    def _value(self, queries: Vectors, gallery: Vectors) -> float:
        if self._cosine:
            queries, gallery = l2_normalise(queries), l2_normalise(gallery)
        asked = self._asked
        queries, gallery = queries.astype(np.float32), gallery.astype(np.float32)
        ranking = search(queries, gallery, int(asked.cutoff or 1), self._exclude, threads=1)
        return average(asked, measured([asked], ranking, self._judge)[asked])
