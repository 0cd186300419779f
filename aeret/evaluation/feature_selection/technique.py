"""What a technique of feature selection is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
"""Columns of variables, chosen: int64 (k,)."""
Select = Callable[[int, Rows], Rows]
"""``select(count, so_far)``: ``count`` different variables. ``so_far`` is what the same technique chose for the last
smaller count (empty at first), which a search may go on from."""


@dataclass(frozen=True)
class Choice:
    """All that a technique may look at: never the examples that its choice is measured on."""

    variables: NDArray[np.float64]
    """float64 (n, v)."""
    labels: NDArray[np.bool_]
    """bool (n, c)."""
    score: Callable[[Rows], float]
    """How good a subset is by an inner validation; larger is better. May be called from several threads."""
    picture: tuple[int, int] | None = None
    """Height and width where the variables are the pixels of a picture, row by row."""

    @property
    def total(self) -> int:
        """Number of variables."""
        return int(self.variables.shape[1])

    @property
    def exclusive(self) -> bool:
        """Whether every example has exactly one label."""
        return bool((self.labels.sum(axis=1) == 1).all())


@dataclass(frozen=True)
class Effort:
    """How much a wrapper may search."""

    block: int = 1
    """Variables that one round of greedy search adds."""
    population: int = 24
    """Subsets of one generation of the genetic algorithm."""
    generations: int = 10
    threads: int = 0
    """0 means one per core; never changes a result."""


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
    """Whether it is drawn anew many times."""
    pictures_only: bool = False


def by_score(scores: NDArray[np.float64]) -> Select:
    """Return the selection that takes the variables of largest score; ties by place."""
    order = np.argsort(-scores, kind="stable").astype(np.int64)
    return lambda count, so_far: order[:count]
