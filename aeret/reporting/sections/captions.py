"""What is said of one photo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aeret.reporting.inputs import Split


def held(labels: NDArray[np.bool_], names: Sequence[str], most: int = 3) -> str:
    """Return the names of the labels that a photo holds, bool (categories,), at most ``most`` of them."""
    found = [names[int(category)] for category in np.flatnonzero(labels)]
    return ", ".join(found[:most]) + (f" +{len(found) - most}" if len(found) > most else "")


def aspect(split: Split, row: int) -> float:
    """Return width over height of the original photo."""
    height, width = (int(side) for side in split.sizes[row])
    return width / max(height, 1)
