"""Photos as they were before their background was removed: what two photos show is compared in these.

Where masks were cut out and the rest filled with one colour, two photos of one thing in one place look alike that have
nothing else in common; and a photo that is in two splits, cut in only one of them, does not look alike any more.
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
    """A prepared split whose photos are decoded from their files again, when they are asked for.

    In threads: a few hundred are asked for at a time, and to start processes for them would take longer.
    """

    def __init__(self, split: PreparedSplit, workers: int = 0) -> None:
        """Take a split.

        Args:
            split: of a prepared collection; its photos are not looked at.
            workers: threads that decode; 0 means one per core.
        """
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
            DataError: a file is gone or broken.
        """
        rows = np.arange(len(self))[positions]
        # To decode a photo sets the filters of warnings aside; threads that do so at once would not all put them back.
        with warnings.catch_warnings(), ThreadPoolExecutor(self._workers) as pool:
            found = list(pool.map(self._decoded, rows.tolist()))
        return np.stack(found) if found else np.zeros((0, self._side, self._side, 3), np.uint8)

    def _decoded(self, row: int) -> npt.NDArray[np.uint8]:
        height, width = self._sizes[row].tolist()
        return decode_photo(PhotoFile(self.paths[row], int(self.photo_ids[row]), height, width), self._side)
