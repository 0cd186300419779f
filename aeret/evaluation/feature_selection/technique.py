"""Define what feature selection works on: questions, techniques, and how much they search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Chosen = NDArray[np.int64]
"""Columns of variables, int64 (k,)."""
Select = Callable[[int, Chosen], Chosen]
"""``select(count, so_far)`` returns ``count`` different variables. ``so_far`` is the choice of the same technique for
the last smaller count (empty at first), from which a search may go on."""


@dataclass(frozen=True)
class Choice:
    """All that a technique may look at: never the examples that its choice is measured on."""

    variables: NDArray[np.float64]
    """float64 (n, v)."""
    labels: NDArray[np.bool_]
    """bool (n, c)."""
    score: Callable[[Chosen], float]
    """How good a subset is by an inner validation; larger is better. May be called from several threads."""
    picture: tuple[int, int] | None = None
    """Height and width if the variables are the pixels of a picture, row by row."""

    @property
    def total(self) -> int:
        """Number of variables."""
        return int(self.variables.shape[1])


@dataclass(frozen=True)
class Subject:
    """A question: what is chosen on, and how a choice is measured."""

    name: str
    """``digits`` or ``embedding``."""
    title: str
    variables: str
    """What the variables are, in the plural."""
    value: str
    """What is measured: ``accuracy``, or a measure's name."""
    choice: Choice
    measure: Callable[[Chosen], float]
    """The value of a subset on examples that the choice never saw. May be called from several threads."""
    floor: float
    """The value without any variable."""
    facts: Mapping[str, int | float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Effort:
    """How much is searched and drawn."""

    repetitions: int = 1
    """Subsets per number of variables of a technique that draws at random."""
    block: int = 1
    """Variables that one round of greedy search adds."""
    population: int = 24
    """Subsets of one generation of the genetic algorithm."""
    generations: int = 10
    threads: int = 0
    """0 means one per core."""


@dataclass(frozen=True)
class Technique:
    """One way to choose variables."""

    name: str
    kind: str
    """``order`` (looks at no data), ``filter``, ``wrapper`` or ``embedded``."""
    meaning: str
    """One sentence, printed in reports."""
    build: Callable[[Choice, Effort, int], Select]
    """Called with the choice, the effort and a seed of the technique's own."""
    repeated: bool = False
    """Whether many subsets are drawn."""
    pictures_only: bool = False


def scored(
    name: str, kind: str, meaning: str, score: Callable[[Choice], NDArray[np.floating]], pictures_only: bool = False
) -> Technique:
    """Return the technique that takes the variables of largest score, float (v,); ties by place."""

    def build(choice: Choice, effort: Effort, seed: int) -> Select:
        order = np.argsort(-score(choice), kind="stable").astype(np.int64)
        return lambda count, so_far: order[:count]

    return Technique(name, kind, meaning, build, pictures_only=pictures_only)
