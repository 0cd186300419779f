"""Select the best epoch, and decide on stops and plateaus."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from aeret.settings import TrainingSettings


@dataclass(frozen=True)
class Selection:
    """What the monitored loss has done so far; lower is better, and a tie keeps the earlier epoch."""

    best: float = math.inf
    best_epoch: int = 0
    """1-based; 0 before the first epoch."""
    waited: int = 0
    """Epochs since the best one."""
    stale: int = 0
    """Epochs without a better loss since the last plateau reduction."""
    reductions: int = 0
    """How often the ``plateau`` schedule has lowered the rate."""

    def after(self, epoch: int, value: float, settings: TrainingSettings) -> Selection:
        """Return the selection after an epoch (1-based) whose monitored loss was ``value``."""
        if value < self.best:
            return replace(self, best=value, best_epoch=epoch, waited=0, stale=0)
        stale = self.stale + 1
        reduce = settings.schedule == "plateau" and stale >= settings.plateau_patience
        return replace(
            self, waited=self.waited + 1, stale=0 if reduce else stale, reductions=self.reductions + int(reduce)
        )

    def should_stop(self, settings: TrainingSettings) -> bool:
        """Return whether early stopping ends the run here."""
        return 0 < settings.early_stop_patience <= self.waited

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form; infinity, which JSON lacks, becomes None."""
        return {**asdict(self), "best": self.best if math.isfinite(self.best) else None}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Selection:
        """Return the selection of :meth:`as_dict`."""
        return cls(**{**values, "best": math.inf if values["best"] is None else values["best"]})
