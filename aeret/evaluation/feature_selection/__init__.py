"""Feature selection (the paper's Fig. 3): which variables carry the answer, by several techniques.

A technique chooses on a :class:`~aeret.evaluation.feature_selection.technique.Choice` and is measured on other
examples: digits by a classifier, an embedding by retrieval. One file a technique, one line here.
"""

from aeret.evaluation.feature_selection.centre_out import CENTRE_OUT
from aeret.evaluation.feature_selection.chi_squared import CHI_SQUARED
from aeret.evaluation.feature_selection.correlation import CORRELATION
from aeret.evaluation.feature_selection.genetic import GENETIC
from aeret.evaluation.feature_selection.greedy import GREEDY
from aeret.evaluation.feature_selection.information_gain import INFORMATION_GAIN
from aeret.evaluation.feature_selection.lasso import LASSO
from aeret.evaluation.feature_selection.random_subsets import RANDOM
from aeret.evaluation.feature_selection.sequential import SEQUENTIAL
from aeret.evaluation.feature_selection.technique import Technique
from aeret.evaluation.feature_selection.variance import VARIANCE

TECHNIQUES: dict[str, Technique] = {
    each.name: each
    for each in (
        SEQUENTIAL,
        RANDOM,
        CENTRE_OUT,
        VARIANCE,
        INFORMATION_GAIN,
        CHI_SQUARED,
        CORRELATION,
        GREEDY,
        GENETIC,
        LASSO,
    )
}
"""Name to technique; those without data first, then filters, wrappers and embedded ones."""

__all__ = ["TECHNIQUES", "Technique"]
