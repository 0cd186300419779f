"""Hold the weights and metrics of a pretraining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True)
class Pretrained:
    """A backbone's weights and how they came about."""

    layers: dict[str, list[npt.NDArray[Any]]]
    """Name of a layer -> its arrays, for :func:`aeret.models.weights.assign_layers`."""
    metrics: dict[str, Any]
    """For the record of the stage."""
