"""Choose the variables that carry the answer, by several techniques (the paper's Fig. 3).

A technique chooses on a :class:`~aeret.evaluation.feature_selection.technique.Choice` and is measured on other
examples: digits by a classifier, an embedding by retrieval. A new technique is one entry here and its function.
"""

from aeret.evaluation.feature_selection.filters import CHI_SQUARED, CORRELATION, INFORMATION_GAIN, VARIANCE
from aeret.evaluation.feature_selection.genetic import GENETIC
from aeret.evaluation.feature_selection.greedy import GREEDY
from aeret.evaluation.feature_selection.lasso import LASSO
from aeret.evaluation.feature_selection.orders import CENTRE_OUT, RANDOM, SEQUENTIAL
from aeret.evaluation.feature_selection.technique import Technique

_ORDERS = (SEQUENTIAL, RANDOM, CENTRE_OUT)
_FILTERS = (VARIANCE, INFORMATION_GAIN, CHI_SQUARED, CORRELATION)

TECHNIQUES: dict[str, Technique] = {each.name: each for each in (*_ORDERS, *_FILTERS, GREEDY, GENETIC, LASSO)}
"""Name to technique; those without data first, then filters, wrappers and embedded ones."""

__all__ = ["TECHNIQUES", "Technique"]
