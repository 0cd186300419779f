"""Measure ranked results, with names that print and parse.

    >>> measure(["P(rel=any)@10", "nDCG(rel=layout)@10"], ranking, truth)  # doctest: +SKIP

``P(rel=any)@10`` names the measure, its conventions and the number of results it looks at; :data:`METRICS` says what
each means; :func:`measure` computes values per query from one pass, and :func:`average` averages them.
"""

from aeret.evaluation.metrics.averages import average
from aeret.evaluation.metrics.evaluator import measure, peak_bytes
from aeret.evaluation.metrics.judge import Judge
from aeret.evaluation.metrics.naming import Measure, parse
from aeret.evaluation.metrics.orders import FixedOrder, Orders, WholeCodes, WholeGallery
from aeret.evaluation.metrics.registry import METRICS

__all__ = [
    "METRICS",
    "FixedOrder",
    "Judge",
    "Measure",
    "Orders",
    "WholeCodes",
    "WholeGallery",
    "average",
    "measure",
    "parse",
    "peak_bytes",
]
