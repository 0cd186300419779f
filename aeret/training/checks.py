"""Refuse a training that cannot go on: wrong precision, or losses that are no numbers."""

from __future__ import annotations

import math
from typing import Any

from aeret.errors import DivergedError, RunError
from aeret.settings import TrainingSettings
from aeret.training.precision import POLICIES


def check_precision(model: Any, settings: TrainingSettings) -> None:
    """Raise ``RunError`` unless the model was built under the precision of the settings."""
    expected = POLICIES[settings.mixed_precision]
    if model.dtype_policy.name != expected:
        raise RunError(
            f"the model was built under the precision {model.dtype_policy.name!r}, the settings ask for {expected!r}: "
            f"build it inside `with precision({settings.mixed_precision!r})`."
        )


def check_finite(losses: dict[str, float], place: str, rate: float, settings: TrainingSettings) -> None:
    """Raise ``DivergedError`` with likely causes and mends if a loss is NaN or infinite."""
    wrong = [name for name, value in losses.items() if not math.isfinite(value)]
    if not wrong:
        return
    mends = [f"lower training.learning_rate (now {settings.learning_rate:g})"]
    if settings.warmup_epochs < 1:
        mends.append(f"raise training.warmup_epochs (now {settings.warmup_epochs:g})")
    if not settings.clip_norm:
        mends.append("set training.clip_norm=1")
    if settings.mixed_precision != "off":
        mends.append(f"set training.mixed_precision=off (now {settings.mixed_precision})")
    values = ", ".join(f"{name}={losses[name]}" for name in wrong)
    raise DivergedError(
        f"The training diverged at {place}: {values}, at a learning rate of {rate:g}. "
        "Likely causes: steps too large for this network, loss or precision; or NaN in the input. "
        f"Mends, one at a time: {'; '.join(mends)}."
    )
