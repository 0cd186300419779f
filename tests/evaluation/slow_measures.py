"""Every measure once more, straight from its definition: one query at a time, all orders of ties tried."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from aeret.evaluation.metrics import Measure

LEVELS = 101


def precision(hits: Sequence[int], n: int) -> float:
    return sum(hits[:n]) / n


def average_precision(hits: Sequence[int], relevant: int, n: int | None = None, denominator: str = "capped") -> float:
    n = len(hits) if n is None else n
    total = sum(precision(hits, i + 1) for i in range(min(n, len(hits))) if hits[i])
    divisor = {"capped": min(n, relevant), "relevant": relevant, "hits": sum(hits[:n])}[denominator]
    return total / divisor if divisor else 0.0


def discounted(gains: Sequence[float], n: int) -> float:
    return sum(gain / math.log2(i + 2) for i, gain in enumerate(gains[:n]))


def auc(hits: Sequence[int]) -> float:
    pairs = [(a, b) for a in range(len(hits)) for b in range(len(hits)) if hits[a] and not hits[b]]
    return sum(a < b for a, b in pairs) / len(pairs) if pairs else math.nan


def curve(hits: Sequence[int], relevant: int) -> list[float]:
    found = np.cumsum(hits)
    points = [(found[i] / relevant, found[i] / (i + 1)) for i in range(len(hits))]
    return [max((p for r, p in points if r >= level / 100 - 1e-12), default=0.0) for level in range(LEVELS)]


def value(measure: Measure, gains: Sequence[float], ideal: Sequence[float]) -> float | list[float]:
    """Return one query's value, of the gains of its whole gallery in order and of the same, falling."""
    options, n = measure.options, measure.cutoff
    hits = [int(gain > 0) for gain in gains]
    relevant, everything = sum(hits), len(hits)
    if options.get("gain") == "exponential":
        gains, ideal = ([2**gain - 1 for gain in some] for some in (gains, ideal))
    if options.get("depth") == "relevant":
        n = min(relevant, n or everything)
        measure_ap = average_precision(hits, relevant, n, options["denominator"])
        return measure_ap if relevant else math.nan
    if not relevant:
        return [math.nan] * LEVELS if measure.name == "PR" else math.nan
    found = sum(hits[:n])
    capped = options.get("capped") == "yes"
    first = hits.index(1) + 1
    table: dict[str, Callable[[], float | list[float]]] = {
        "P": lambda: found / (n or 1),
        "R": lambda: found / (min(relevant, n or 1) if capped else relevant),
        "F": lambda: 2 * found / ((n or 1) + relevant),
        "Hit": lambda: float(found > 0),
        "CMC": lambda: float(found > 0),
        "AP": lambda: average_precision(hits, relevant, n, options["denominator"]),
        "RPrec": lambda: precision(hits, relevant),
        "RR": lambda: 1 / first if first <= (n or everything) else 0.0,
        "nDCG": lambda: discounted(gains, n or 1) / discounted(ideal, n or 1),
        "AUC": lambda: auc(hits),
        "PR": lambda: curve(hits, relevant),
    }
    return table[measure.name]()


def expected(measure: Measure, gains: Sequence[float], groups: Sequence[int]) -> float | list[float]:
    """Return the mean over all orders of the ties; ``groups`` are their sizes, best first."""
    ends = np.cumsum(groups)
    parts = [gains[end - size : end] for size, end in zip(groups, ends, strict=True)]
    ideal = sorted(gains, reverse=True)
    orders = [list(itertools.chain(*some)) for some in itertools.product(*(itertools.permutations(p) for p in parts))]
    return float(np.mean([value(measure, order, ideal) for order in orders]))
