"""The part of *train* that chooses checkpoints, so that queries never choose anything."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aeret.errors import UsageError
from aeret.rng import derive


def holdout(photo_ids: npt.NDArray[np.int64], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose the validation photos of a train split.

    A photo is chosen when the hash of its id and the seed falls below ``fraction``: its fate does not depend on which
    other photos there are, so a collection that grows keeps its validation photos. The share chosen therefore varies by
    chance around ``fraction``. Where chance would leave validation or train empty, the photo with the lowest (highest)
    hash is moved.

    Args:
        photo_ids: int64 (n,), distinct.
        fraction: share to choose, in [0, 1); 0 chooses none.
        seed: of the run.

    Returns:
        bool (n,), true where the photo is a validation photo.

    Raises:
        UsageError: the fraction is out of range, or there are too few photos to give each part one.
    """
    if not 0 <= fraction < 1:
        raise UsageError(f"validation_fraction: expected a share in [0, 1), got {fraction}.")
    ids = np.asarray(photo_ids, np.int64)
    if fraction == 0:
        return np.zeros(len(ids), np.bool_)
    if len(ids) < 2:
        raise UsageError(
            f"validation_fraction={fraction}: {len(ids)} train photo(s) cannot be divided; give train more photos or "
            "set data.validation_fraction=0."
        )
    unit = np.array([derive(seed, "holdout", photo) for photo in ids.tolist()], np.float64) / 2.0**63
    chosen: npt.NDArray[np.bool_] = unit < fraction
    if not chosen.any():
        chosen[unit.argmin()] = True
    elif chosen.all():
        chosen[unit.argmax()] = False
    return chosen
