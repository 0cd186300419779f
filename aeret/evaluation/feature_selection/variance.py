"""Filter by variance: what hardly changes tells little. Looks at no label."""

from __future__ import annotations

from aeret.evaluation.feature_selection.technique import Choice, Effort, Select, Technique, by_score


def _build(choice: Choice, effort: Effort, seed: int) -> Select:
    return by_score(choice.variables.var(axis=0))


VARIANCE = Technique("variance", "filter", "The variables that vary most, without a look at the labels.", _build)
