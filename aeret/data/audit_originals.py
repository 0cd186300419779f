"""Read photos as they were before their background was removed, to compare them.

Once backgrounds are filled with one colour, two unrelated photos look alike when the same object is at the same place;
and a photo in two splits, cut in only one of them, does not look like itself.
"""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from aeret.cores import cores
from aeret.data.photos import PhotoFile, decode_photo
from aeret.data.prepared import PreparedSplit


class Originals:
    """A prepared split whose photos are decoded from their files, on demand.

    Args:
        split: of a prepared collection; its stored photos are not read.
        workers: threads that decode; 0 means one per core.
    """

    def __init__(self, split: PreparedSplit, workers: int = 0) -> None:
        self.name, self.photo_ids = split.name, split.photo_ids
        self.file_names, self.paths = split.file_names, split.paths
        self._sizes, self._side, self._workers = split.sizes, split.mapped.shape[1], workers or cores()

    def __len__(self) -> int:
        return len(self.photo_ids)

    def photos(self, positions: Any) -> npt.NDArray[np.uint8]:
        """Decode photos, uint8 (b, S, S, 3), by the rules of :mod:`aeret.data.photos`.

        Args:
            positions: int (b,) positions within the split, or a slice of them.

        Raises:
            DataError: a file is missing or broken.
        """
        rows = np.arange(len(self))[positions]
        # decode_photo changes the warning filters; threads that do so at once would not all restore them.
        with warnings.catch_warnings(), ThreadPoolExecutor(self._workers) as pool:
            found = list(pool.map(self._decoded, rows.tolist()))
        return np.stack(found) if found else np.zeros((0, self._side, self._side, 3), np.uint8)

    def _decoded(self, row: int) -> npt.NDArray[np.uint8]:
        height, width = self._sizes[row].tolist()
        return decode_photo(PhotoFile(self.paths[row], int(self.photo_ids[row]), height, width), self._side)
