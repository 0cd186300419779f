"""Penalise dense codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops


def l1(code: Any, target: float) -> Any:
    """Mean of the absolute values of the code."""
    return ops.mean(ops.abs(code))


def kl(code: Any, target: float) -> Any:
    """Mean over units of KL(target || r), r the unit's mean over the batch (Ng 2011, CS294A notes, sum there).

    ``t log(t / r) + (1 - t) log((1 - t) / (1 - r))``; for codes in (0, 1).
    """
    mean = ops.clip(ops.mean(code, axis=0), 1e-6, 1 - 1e-6)
    return ops.mean(target * ops.log(target / mean) + (1 - target) * ops.log((1 - target) / (1 - mean)))


SPARSITY_PENALTIES: dict[str, Callable[[Any, float], Any]] = {"l1": l1, "kl": kl}
"""(code float32 (b, m), target activation) -> scalar."""
