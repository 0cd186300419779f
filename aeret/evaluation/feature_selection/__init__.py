"""Choose the variables that carry the answer, by several techniques (the paper's Fig. 3).

A technique chooses on a :class:`~aeret.evaluation.feature_selection.technique.Choice` and is measured on other
examples: digits by a classifier, an embedding by retrieval. A new technique is one function and one line in
:mod:`aeret.names`.
"""

from aeret import names
from aeret.evaluation.feature_selection.technique import Technique
from aeret.registry import Registry

TECHNIQUES: Registry[Technique] = Registry(names.FEATURE_SELECTION)
"""Name to technique."""

__all__ = ["TECHNIQUES", "Technique"]
