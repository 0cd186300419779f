"""Remove backgrounds while photos are decoded, the same for any number of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aeret.artifacts import digest
from aeret.data.background import FOREGROUNDS
from aeret.data.background.fills import FILLS, Colour
from aeret.data.background.foreground import Cells
from aeret.data.collection import Collection
from aeret.data.masks import rasterise
from aeret.data.photos import PhotoFile, Photos, decode_batches
from aeret.errors import UsageError
from aeret.registry import lookup
from aeret.rng import derive, generator
from aeret.settings import DataSettings

_SAMPLE = 512  # train photos whose colours are averaged
_SAMPLE_SIDE = 32

Rows = npt.NDArray[np.int64]


def demand_possible(settings: DataSettings, leave_one_out: bool) -> None:
    """Check that backgrounds can be removed as the settings say.

    Raises:
        UsageError: only queries are to change but are the gallery as well, or a library is missing.
    """
    if settings.background == "keep":
        return
    if settings.background_splits == "query" and leave_one_out:
        raise UsageError(
            "data.background_splits=query: the queries of this manifest are the same photos as its gallery; use a "
            "manifest that separates them, or data.background_splits=all."
        )
    lookup(FOREGROUNDS, settings.background, "background removal").demand()


def mean_colour(files: Sequence[PhotoFile], workers: int) -> Colour:
    """Return the mean colour uint8 (3,) of at most 512 evenly spaced photos.

    Args:
        files: of *train*; queries must not decide anything.
        workers: processes; 0 means one per core. Never changes the colour.
    """
    chosen = np.unique(np.linspace(0, len(files) - 1, min(_SAMPLE, len(files))).round().astype(np.int64)).tolist()
    batches = [[files[row] for row in chosen[start : start + 64]] for start in range(0, len(chosen), 64)]
    total = sum(photos.sum(axis=(0, 1, 2), dtype=np.int64) for photos in decode_batches(batches, _SAMPLE_SIDE, workers))
    return np.asarray(np.rint(total / (len(chosen) * _SAMPLE_SIDE**2)), np.uint8)


@dataclass(frozen=True)
class Removal:
    """Background removal for the photos of one chunk; pickled to the decoding process."""

    way: str
    fill: str
    colour: Colour
    chosen: npt.NDArray[np.bool_]
    """bool (b,): photos whose background goes."""
    seeds: tuple[int, ...]
    own: npt.NDArray[np.uint8] | None
    """Union of each photo's masks, uint8 (b, ceil(S * S / 8)), ``np.packbits`` of row-major cells."""
    other: npt.NDArray[np.uint8] | None
    """The same of another photo."""

    def __call__(self, photos: Photos) -> tuple[Photos, list[int]]:
        """Return the changed photos uint8 (b, S, S, 3) and the chosen rows that stayed as they were."""
        changed, kept = photos.copy(), []
        way, fill = FOREGROUNDS[self.way], FILLS[self.fill]
        for row in np.flatnonzero(self.chosen).tolist():
            photo = photos[row]
            cells = way.find(
                photo, _cells(self.own, row, len(photo)), _cells(self.other, row, len(photo)), self.seeds[row]
            )
            if cells is None:
                kept.append(row)
            else:
                changed[row] = np.where(cells[..., None], photo, fill(photo, self.colour))
        return changed, kept


@dataclass(frozen=True)
class SourceRemoval:
    """Background removal for the photos of one source.

    Args:
        settings: which way and which fill.
        seed: of the random choices, together with each photo's id.
        colour: mean of the train photos.
        collection: of the source.
        rows: of the collection, in the order of the store.
        chosen: bool (rows): photos whose background goes.
    """

    settings: DataSettings
    seed: int
    colour: Colour
    collection: Collection
    rows: Rows
    chosen: npt.NDArray[np.bool_]

    @property
    def identity(self) -> str:
        """Digest of all that decides the result, except the collection."""
        settings = self.settings
        chosen = np.packbits(self.chosen).tobytes().hex()
        return digest([settings.background, settings.background_fill, self.seed, self.colour.tolist(), chosen])

    def of_chunk(self, start: int, stop: int) -> Callable[[Photos], tuple[Photos, list[int]]]:
        """Return the removal for rows start to stop of the store."""
        way = FOREGROUNDS[self.settings.background]
        ids = self.collection.photo_ids[self.rows[start:stop]].tolist()
        return Removal(
            self.settings.background,
            self.settings.background_fill,
            self.colour,
            self.chosen[start:stop],
            tuple(derive(self.seed, "background", photo_id) for photo_id in ids),
            self._unions(self.rows[start:stop]) if way.own_masks else None,
            self._unions(self._others(start, stop)) if way.other_masks else None,
        )

    def _unions(self, rows: Rows) -> npt.NDArray[np.uint8]:
        planes = rasterise(
            self.collection, rows, self.settings.photo_size, self.settings.mask_threshold, self.settings.crowd
        )
        unions = np.zeros((len(rows), planes.bits.shape[1]), np.uint8)
        np.bitwise_or.at(unions, np.repeat(np.arange(len(rows)), np.diff(planes.offsets)), planes.bits)
        return unions

    def _others(self, start: int, stop: int) -> Rows:
        """Draw another photo of the source for each; the photo itself if there is no other."""
        count = len(self.rows)
        if count == 1:
            return self.rows[start:stop]
        ids = self.collection.photo_ids[self.rows[start:stop]].tolist()
        steps = [int(generator(self.seed, "background", photo_id).integers(1, count)) for photo_id in ids]
        return np.asarray(self.rows[(np.arange(start, stop) + steps) % count], np.int64)


def _cells(packed: npt.NDArray[np.uint8] | None, row: int, side: int) -> Cells | None:
    if packed is None:
        return None
    return np.unpackbits(packed[row], count=side * side).reshape(side, side).astype(np.bool_)
