"""What a way to find the foreground of a photo is."""

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
    """From the photo, the union of its masks, that of another photo (both None unless asked for) and a seed of the
    photo alone, to its foreground; None where there is none to be had, and the photo stays as it is."""
    own_masks: bool = False
    other_masks: bool = False
    demand: Callable[[], None] = _nothing
    """Raises a UsageError where something that the way needs is not there."""
