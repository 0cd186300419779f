"""LinUCB with disjoint arms.

Li, Chu, Langford & Schapire, "A contextual-bandit approach to personalized news article recommendation", WWW 2010,
algorithm 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aeret.errors import UsageError

Floats = NDArray[np.float64]


class LinUcb:
    """Chooses the arm whose reward may be highest: a ridge estimate for the context plus ``alpha`` standard errors."""

    def __init__(self, arms: int, width: int, alpha: float = 0.5, ridge: float = 1.0) -> None:
        """Start without knowledge.

        Args:
            arms: how many there are.
            width: entries of a context; give it a constant 1 among them.
            alpha: how eagerly arms are explored; 0 is greedy.
            ridge: weight of the prior that all rewards are 0.

        Raises:
            UsageError: no arms, an empty context, or a parameter out of range.
        """
        if arms < 1 or width < 1 or not alpha >= 0 or not ridge > 0:
            raise UsageError(
                f"LinUCB needs arms, a context, alpha >= 0 and ridge > 0; got {arms} arms, width {width}, alpha "
                f"{alpha}, ridge {ridge}."
            )
        self.alpha = alpha
        # The inverse of A is kept: one outer product a round instead of one solve an arm (Sherman & Morrison 1950).
        self._inverse = np.broadcast_to(np.eye(width) / ridge, (arms, width, width)).copy()
        self._sums = np.zeros((arms, width))

    def bounds(self, context: Floats) -> Floats:
        """Return the upper confidence bound of every arm's reward, float64 (arms,), for a context (width,)."""
        spread = np.einsum("i,aij,j->a", context, self._inverse, context)
        means = np.einsum("i,aij,aj->a", context, self._inverse, self._sums)
        return np.asarray(means + self.alpha * np.sqrt(np.maximum(spread, 0)))

    def choose(self, context: Floats) -> int:
        """Return the arm to play; ties: the lowest."""
        return int(np.argmax(self.bounds(context)))

    def learn(self, arm: int, context: Floats, reward: float) -> None:
        """Take note of the reward that an arm brought in a context."""
        through = self._inverse[arm] @ context
        self._inverse[arm] -= np.outer(through, through) / (1 + context @ through)
        self._sums[arm] += reward * context
