"""Build the Keras optimizer that the settings describe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from aeret.registry import lookup
from aeret.settings import TrainingSettings


def build_optimizer(settings: TrainingSettings, variables: list[Any]) -> Any:
    """Return an optimizer built for ``variables`` (the model's trainable ones).

    Weight decay (``adamw``: decoupled, Loshchilov and Hutter 2019) falls on kernels only. Gradients are clipped by
    their global norm. float16 gets dynamic loss scaling around everything, so clipping sees unscaled gradients. The
    learning rate is a plain variable: the caller sets it before each step. Weights are averaged after each step where
    asked; statistics of batch normalisation are averages already and stay as they are.
    """
    options: dict[str, Any] = {"learning_rate": settings.learning_rate}
    if settings.clip_norm:
        options["global_clipnorm"] = settings.clip_norm
    if settings.average_weights:
        options |= {"use_ema": True, "ema_momentum": settings.average_weights, "ema_overwrite_frequency": None}
    optimizer = lookup(OPTIMIZERS, settings.optimizer, "optimizer")(settings, options)
    if settings.optimizer == "adamw":
        optimizer.exclude_from_weight_decay(var_list=[v for v in variables if not is_kernel(v)])
    if settings.mixed_precision == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer


def is_kernel(variable: Any) -> bool:
    """Return whether a variable is a kernel: rank 2 or more; biases, normalisation and GeM's p have less."""
    return len(variable.shape) >= 2


def penalise(settings: TrainingSettings, variables: list[Any]) -> None:
    """Put the lasso and ridge penalties on the kernels: they appear in ``model.losses``, which the model's loss adds.

    Both are sums over all kernels, not means.
    """
    if settings.l1 or settings.l2:
        penalty = keras.regularizers.L1L2(settings.l1, settings.l2)
        for variable in filter(is_kernel, variables):
            variable.regularizer = penalty


def _sgd(settings: TrainingSettings, options: dict[str, Any]) -> Any:
    return keras.optimizers.SGD(momentum=settings.momentum, nesterov=settings.momentum > 0, **options)


def _adam(settings: TrainingSettings, options: dict[str, Any]) -> Any:
    return keras.optimizers.Adam(beta_1=settings.momentum, **options)


def _adamw(settings: TrainingSettings, options: dict[str, Any]) -> Any:
    return keras.optimizers.AdamW(weight_decay=settings.weight_decay, beta_1=settings.momentum, **options)


OPTIMIZERS: dict[str, Callable[[TrainingSettings, dict[str, Any]], Any]] = {
    "sgd": _sgd,
    "adam": _adam,
    "adamw": _adamw,
}
