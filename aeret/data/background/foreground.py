"""Define what a way to find the foreground of a photo is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Photo = npt.NDArray[np.uint8]
"""uint8 (S, S, 3), RGB."""
Cells = npt.NDArray[np.bool_]
"""bool (S, S)."""


def _nothing() -> None:
    """Demand nothing."""


@dataclass(frozen=True)
class Foreground:
    """One way to find the foreground."""

    find: Callable[[Photo, Cells | None, Cells | None, int], Cells | None]
    """From photo, union of its masks, union of another photo's masks (each None unless requested) and a seed that
    depends on the photo alone to its foreground; None if none is found, and the photo stays as it is."""
    own_masks: bool = False
    other_masks: bool = False
    demand: Callable[[], None] = _nothing
    """Raises a UsageError if a library that the way needs is missing."""
