"""A question that feature selection is asked: what is chosen on, and how a choice is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aeret.evaluation.feature_selection.technique import Choice, Rows


@dataclass(frozen=True)
class Subject:
    """Variables to choose from."""

    name: str
    """``digits`` or ``embedding``."""
    title: str
    """The question, for a reader."""
    variables: str
    """What they are, in the plural."""
    value: str
    """What is measured: ``accuracy``, or a measure's name."""
    choice: Choice
    measure: Callable[[Rows], float]
    """The value of a subset on examples that the choice never saw. May be called from several threads."""
    floor: float
    """The value without any variable."""
    facts: Mapping[str, int | float | str] = field(default_factory=dict)
