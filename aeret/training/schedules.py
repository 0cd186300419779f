"""Compute the learning rate of a step."""

from __future__ import annotations

import math
from collections.abc import Callable

from aeret.registry import lookup
from aeret.settings import TrainingSettings

Schedule = Callable[[float, TrainingSettings, int], float]
"""(epochs done after the warm-up, settings, plateau reductions so far) -> factor of the base rate."""


def learning_rate(settings: TrainingSettings, step: int, steps_per_epoch: int, reductions: int = 0) -> float:
    """Return the learning rate of one training step.

    The warm-up climbs linearly over ``warmup_epochs``, but at most over half of the training, and reaches the full rate
    at its last step (Goyal et al. 2017); the schedule's own clock starts after it.

    Args:
        settings: base rate, schedule and warm-up.
        step: number of the step in the whole run, from 0.
        steps_per_epoch: steps in one epoch, at least 1.
        reductions: how often a plateau has been met so far (``plateau`` only).

    Raises:
        ValueError: ``step`` is negative or ``steps_per_epoch`` is below 1.
    """
    if step < 0 or steps_per_epoch < 1:
        raise ValueError(f"expected step >= 0 and steps_per_epoch >= 1, got {step} and {steps_per_epoch}.")
    warmup_steps = round(_warmup(settings) * steps_per_epoch)
    if step < warmup_steps:
        return settings.learning_rate * (step + 1) / warmup_steps
    schedule = lookup(SCHEDULES, settings.schedule, "schedule")
    return settings.learning_rate * schedule((step - warmup_steps) / steps_per_epoch, settings, reductions)


def _warmup(settings: TrainingSettings) -> float:
    # Short trainings, and the phases of a divided one, would else end before they had learnt at their rate.
    return min(settings.warmup_epochs, settings.epochs / 2)


def _constant(epochs: float, settings: TrainingSettings, reductions: int) -> float:
    return 1.0


def _step(epochs: float, settings: TrainingSettings, reductions: int) -> float:
    return float(settings.step_factor ** int(epochs // settings.step_epochs))


def _cosine(epochs: float, settings: TrainingSettings, reductions: int) -> float:
    """Half a cosine from 1 to 0 over the epochs that the warm-up leaves (Loshchilov and Hutter 2017, no restarts)."""
    span = max(settings.epochs - _warmup(settings), 1e-9)
    return 0.5 * (1 + math.cos(math.pi * min(epochs / span, 1.0)))


def _plateau(epochs: float, settings: TrainingSettings, reductions: int) -> float:
    return float(settings.step_factor**reductions)


SCHEDULES: dict[str, Schedule] = {"constant": _constant, "step": _step, "cosine": _cosine, "plateau": _plateau}
