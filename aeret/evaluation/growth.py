"""Average P@10 and R@10 for growing numbers of query or gallery images.

The paper's third table averages "for different image numbers" and does not say which images. Both readings are here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.errors import UsageError
from aeret.evaluation.metrics import average, measure
from aeret.evaluation.relevance import Truth
from aeret.evaluation.result import Evaluation
from aeret.evaluation.task import PhotoSet
from aeret.retrieval import exhaustive
from aeret.rng import generator

N = 10
COLUMNS = ("images", "measure", "mean", "sd")
_DRAWS = 30
_ORDERS = 5


def sizes(count: int, smallest: int = 50) -> list[int]:
    """Return numbers of images that double up to ``count``."""
    grown = [smallest << step for step in range(64) if smallest << step < count]
    return [*grown, count]


def query_growth(evaluation: Evaluation, numbers: Sequence[int], seed: int) -> pd.DataFrame:
    """Average P@10 and R@10 over random samples of the queries.

    Args:
        evaluation: of all queries.
        numbers: query images of a sample, drawn without replacement, 30 times.
        seed: of the draws.

    Returns:
        images, measure (``P`` or ``R``), mean and sd over the samples; all queries are one sample, with sd NaN.
    """
    values = evaluation.per_query[[f"P(rel=any)@{N}", f"R(rel=any)@{N}"]].to_numpy(np.float64)
    rows = []
    for number in numbers:
        rng = generator(seed, "query growth", number)
        draws = _DRAWS if number < len(values) else 1
        means = [np.nanmean(values[rng.choice(len(values), number, replace=False)], axis=0) for _ in range(draws)]
        for column, name in enumerate("PR"):
            each = [mean[column] for mean in means]
            rows.append((number, name, float(np.mean(each)), _sd(each)))
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def gallery_growth(queries: PhotoSet, gallery: PhotoSet, numbers: Sequence[int], seed: int) -> pd.DataFrame:
    """Average P@10 and R@10 of exhaustive search in nested random parts of the gallery.

    Args:
        queries: photos to search for; if they are the gallery itself, no photo finds itself.
        gallery: photos that are searched.
        numbers: gallery images of a part.
        seed: of the five orders that the parts are taken from.

    Returns:
        images, measure, mean over queries with a relevant photo in the part, then mean and sd over the orders; the
        whole gallery is one order, with sd NaN.

    Raises:
        UsageError: a part of ten images or fewer.
    """
    small = [number for number in numbers if number <= N]
    if small:
        raise UsageError(f"a part of {small[0]} images has no first {N}; ask for more than {N}.")
    orders = [generator(seed, "gallery growth", draw).permutation(len(gallery.ids)) for draw in range(_ORDERS)]
    rows = []
    for number in numbers:
        drawn = orders if number < len(gallery.ids) else orders[:1]
        found = [_in_part(queries, gallery, np.sort(order[:number])) for order in drawn]
        for column, name in enumerate("PR"):
            each = [means[column] for means in found]
            rows.append((number, name, float(np.mean(each)), _sd(each)))
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def _in_part(queries: PhotoSet, gallery: PhotoSet, part: NDArray[np.int64]) -> tuple[float, float]:
    own = np.full(len(queries.ids), -1, np.int64)
    if queries is gallery:
        own[part] = np.arange(len(part))
    found = exhaustive.search(np.asarray(queries.vectors), np.asarray(gallery.vectors)[part], N, own)
    values = measure([f"P@{N}", f"R@{N}"], found, Truth(queries.labels, gallery.labels[part], own))
    precision, recall = (average(name, each) for name, each in values.items())
    return precision, recall


def _sd(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
