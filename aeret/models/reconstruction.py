"""Score reconstructed masks, batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from aeret.data.encodings import MaskEncoding

Floats = npt.NDArray[np.float32]
_CLIP = 1e-3

CONVENTIONS = {
    "foreground_iou": "Intersection over union at probability 0.5: intersections and unions are summed over all masks, "
    "cells and channels before they are divided, so large things weigh more (index encoding: cells of the right "
    "category over cells of any).",
    "category_iou": "The same for each channel alone, then the mean over the channels that any true mask has.",
    "bce": "Binary cross-entropy in nats per cell and channel, probabilities clipped to [0.001, 0.999] for the network "
    "and the floors alike.",
    "mse": "Mean squared error per cell and channel.",
}


class ReconstructionScore:
    """Sums over masks; ask for :meth:`values` at the end."""

    def __init__(self, encoding: MaskEncoding) -> None:
        self._encoding = encoding
        entries = len(encoding.legend)
        self._shared = np.zeros(entries, np.int64)
        self._either = np.zeros(entries, np.int64)
        self._true = np.zeros(entries, np.int64)
        self._entropy = 0.0
        self._squares = 0.0
        self._elements = 0

    def add(self, true: Floats, found: Floats) -> None:
        """Add masks: float32 (b, h, w, channels), the true ones in [0, 1] and the reconstructed."""
        truth, guess = self._encoding.presence(true), self._encoding.presence(found)
        cells = (0, 1, 2)
        self._shared += np.count_nonzero(truth & guess, axis=cells)
        self._either += np.count_nonzero(truth | guess, axis=cells)
        self._true += np.count_nonzero(truth, axis=cells)
        clipped = np.clip(found, _CLIP, 1 - _CLIP)
        self._entropy -= float(np.sum(true * np.log(clipped) + (1 - true) * np.log1p(-clipped), dtype=np.float64))
        self._squares += float(np.sum(np.square(true - found), dtype=np.float64))
        self._elements += true.size

    def values(self) -> dict[str, Any]:
        """Return the measures, see :data:`CONVENTIONS`; ``per_category_iou`` holds None for what no true mask has."""
        ious = [
            float(shared / either) if true else None
            for shared, either, true in zip(self._shared, self._either, self._true, strict=True)
        ]
        known = [iou for iou in ious if iou is not None]
        return {
            "foreground_iou": float(self._shared.sum() / max(int(self._either.sum()), 1)),
            "category_iou": float(np.mean(known)) if known else 0.0,
            "bce": self._entropy / max(self._elements, 1),
            "mse": self._squares / max(self._elements, 1),
            "per_category_iou": dict(zip(_told_apart(self._encoding.legend), ious, strict=True)),
        }


def _told_apart(names: Sequence[str]) -> list[str]:
    """Number names that come again, as categories may share one; never to a name that another category has."""
    told: dict[str, None] = {}
    for name in names:
        number, free = 1, name
        while free in told or (number > 1 and free in names):
            number += 1
            free = f"{name} ({number})"
        told[free] = None
    return list(told)
