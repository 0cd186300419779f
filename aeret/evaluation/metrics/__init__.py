"""Measures of ranked results: values that print and parse, a registry of what they mean, and one evaluator.

    >>> measure(["P(rel=any)@10", "nDCG(rel=layout)@10"], ranking, truth)

``P(rel=any)@10`` names the measure, its conventions and how many results it looks at; :data:`METRICS` says what each
means; :func:`measure` computes them all per query from one pass, and :func:`average` averages, last.
"""

from aeret.evaluation.metrics.averages import average
from aeret.evaluation.metrics.evaluator import measure, peak_bytes
from aeret.evaluation.metrics.judge import Judge
from aeret.evaluation.metrics.naming import Measure, parse
from aeret.evaluation.metrics.registry import METRICS
from aeret.evaluation.metrics.sources import FixedOrder
from aeret.evaluation.metrics.whole_codes import WholeCodes
from aeret.evaluation.metrics.whole_gallery import WholeGallery

__all__ = [
    "METRICS",
    "FixedOrder",
    "Judge",
    "Measure",
    "WholeCodes",
    "WholeGallery",
    "average",
    "measure",
    "parse",
    "peak_bytes",
]
