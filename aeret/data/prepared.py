"""Open and save prepared data: a collection as memory-mapped arrays.

Training and evaluation read these arrays and touch no JPEG or JSON. :class:`PreparedFiles` names what the folder holds:
the record and, in one subfolder per source of the manifest, photos, masks, labels and a table. The rows of a source are
grouped by split, so every split is one contiguous range of rows and all its arrays are views into the mapped files.
"""

from __future__ import annotations

import json
import mmap
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as parquet

from aeret.artifacts import write_json
from aeret.data.masks import MaskPlanes
from aeret.data.transforms import crop_flip_photos
from aeret.errors import DataError
from aeret.registry import lookup

VERSION = 1
SPLITS = ("train", "validation", "query", "gallery")
FLAG, SUBSET = "flag:", "subset:"
_RESIDENT = 256 << 20  # bytes of mapped photos a reader lets the kernel count as this process's memory


@dataclass(frozen=True)
class Category:
    """One category of the collection."""

    id: int
    name: str
    supercategory: str


@dataclass(eq=False)
class PreparedSplit:
    """The photos of one split, their labels and masks. Positions count from 0 within the split."""

    name: str
    source: str
    rows: npt.NDArray[np.int64]
    """int64 (n,): contiguous rows of the source's arrays."""
    photo_ids: npt.NDArray[np.int64]
    """int64 (n,)."""
    file_names: list[str]
    paths: list[str]
    """Absolute paths of the original photos."""
    sizes: npt.NDArray[np.int32]
    """int32 (n, 2): height and width of the original photos, pixels, upright."""
    labels: npt.NDArray[np.bool_]
    """bool (n, categories)."""
    masks: MaskPlanes
    """Rows are the positions; memory-mapped."""
    subsets: dict[str, npt.NDArray[np.bool_]]
    """Subset of the manifest to bool (n,)."""
    flags: dict[str, npt.NDArray[np.bool_]]
    """Boolean key of the image records (``true_masks``) to bool (n,)."""
    mapped: npt.NDArray[np.uint8] = field(repr=False)
    """uint8 (n, S, S, 3): the photos, memory-mapped and read-only; the methods bound what stays resident."""
    _touched: int = field(default=0, repr=False)

    def __len__(self) -> int:
        return len(self.photo_ids)

    def photos(self, positions: npt.ArrayLike | slice) -> npt.NDArray[np.uint8]:
        """Copy photos out of the mapped file.

        Args:
            positions: int (b,) positions within the split, or a slice of them.

        Returns:
            uint8 (b, S, S, 3).
        """
        # A slice is a view of the file; an array of positions has copied already.
        if isinstance(positions, slice):
            batch = np.array(self.mapped[positions])
        else:
            batch = np.asarray(self.mapped[np.asarray(positions, np.int64)])
        self._count(len(batch))
        return batch

    def crops(
        self,
        positions: npt.NDArray[np.int64],
        boxes: npt.NDArray[np.float32],
        flips: npt.NDArray[np.bool_],
        size: int,
        factors: npt.NDArray[np.float32] | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Cut boxes out of photos, straight from the mapped file; see :func:`.transforms.crop_flip_photos`.

        Args:
            positions: int64 (b,) positions within the split.
            boxes, flips, size, factors: as there.

        Returns:
            uint8 (b, size, size, 3).
        """
        batch = crop_flip_photos(self.mapped, positions, boxes, flips, size, factors)
        self._count(len(batch))
        return batch

    def _count(self, photos: int) -> None:
        self._touched += photos * self.mapped[:1].nbytes
        if self._touched > _RESIDENT:
            self._touched = 0
            _release(self.mapped)


@dataclass(frozen=True)
class SourceFiles:
    """The files of one source of prepared data."""

    folder: Path

    @property
    def photos(self) -> Path:
        """uint8 (n, S, S, 3), photos stretched to a square."""
        return self.folder / "photos.npy"

    @property
    def labels(self) -> Path:
        """uint8 (n, ceil(categories / 8)), one bit per category, ``np.packbits`` order."""
        return self.folder / "labels.npy"

    @property
    def table(self) -> Path:
        """Columns photo_id, file_name, path, width, height, split, flag:<name>..., subset:<name>..."""
        return self.folder / "photos.parquet"

    @property
    def masks(self) -> Path:
        """Folder of :class:`MaskPlanes` at mask_size, aligned with the photos."""
        return self.folder / "masks"

    @property
    def photo_parts(self) -> Path:
        """Folder of what is done of the photos, until all is complete."""
        return self.folder / "photos.parts"

    @property
    def mask_parts(self) -> Path:
        """Folder of the masks in parts, until all is complete."""
        return self.folder / "masks.parts"


@dataclass(frozen=True)
class PreparedFiles:
    """The files of prepared data."""

    folder: Path

    @property
    def record(self) -> Path:
        """Sizes, categories, and which rows of which source each split has."""
        return self.folder / "prepared.json"

    @property
    def dropped(self) -> Path:
        """What was left out and why, as CSV."""
        return self.folder / "dropped.csv"

    @property
    def sheet(self) -> Path:
        """Photos before and after their background was removed."""
        return self.folder / "background.png"

    def source(self, name: str) -> SourceFiles:
        """Return the files of one source."""
        return SourceFiles(self.folder / name)


@dataclass(frozen=True)
class Prepared:
    """Prepared data, opened."""

    folder: Path
    record: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write the record, which makes the data complete, and remove the parts that the arrays were joined from."""
        files = PreparedFiles(folder)
        write_json(files.record, self.record)
        for name in {place["source"] for place in self.record["splits"].values()}:
            shutil.rmtree(files.source(name).photo_parts, ignore_errors=True)
            shutil.rmtree(files.source(name).mask_parts, ignore_errors=True)

    @classmethod
    def open(cls, folder: Path) -> Prepared:
        """Open what ``aeret stage prepare`` wrote; maps files, reads no photo.

        Raises:
            DataError: the folder holds no prepared data, or of another version.
        """
        path = PreparedFiles(folder).record
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            version = record["version"]
        except FileNotFoundError:
            raise DataError(
                f"{folder}: holds no prepared data (no {path.name}); `aeret stage prepare` makes it."
            ) from None
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{path}: is damaged ({error!r}); delete {folder} and prepare again.") from None
        if version != VERSION:
            raise DataError(f"{path}: has version {version}, this aeret reads {VERSION}; prepare again.")
        return cls(folder, record)

    @cached_property
    def categories(self) -> tuple[Category, ...]:
        """Categories in the order of label columns and mask channels."""
        return tuple(Category(**item) for item in self.record["categories"])

    @property
    def photo_size(self) -> int:
        """Side of the stored photos, pixels."""
        return int(self.record["photo_size"])

    @property
    def mask_size(self) -> int:
        """Side of the stored masks, cells."""
        return int(self.record["mask_size"])

    @property
    def leave_one_out(self) -> bool:
        """Query and gallery are the same photos, in the same order; a photo is never its own result."""
        return bool(self.record["leave_one_out"])

    def split(self, name: str) -> PreparedSplit:
        """Open one split.

        Args:
            name: ``train``, ``validation``, ``query`` or ``gallery``.

        Raises:
            UnknownNameError: there is no such split.
            DataError: a file is missing or does not fit the record.
        """
        place = lookup(self.record["splits"], name, "split")
        source, start, stop = place["source"], int(place["start"]), int(place["stop"])
        files = PreparedFiles(self.folder).source(source)
        folder = files.folder
        try:
            photos = np.load(files.photos, mmap_mode="r")
            bits = np.load(files.labels, mmap_mode="r")
            table = parquet.read_table(files.table)
        except (OSError, ValueError) as error:
            raise DataError(f"{folder}: prepared data is damaged ({error}); delete it and prepare again.") from None
        if not len(photos) == len(bits) == len(table) >= stop:
            raise DataError(
                f"{folder}: photos, labels and table have {len(photos)}, {len(bits)} and {len(table)} rows, expected "
                f"the same and at least {stop}; delete it and prepare again."
            )
        table = table.slice(start, stop - start)
        columns = {column: table.column(column) for column in table.column_names}

        def booleans(prefix: str) -> dict[str, npt.NDArray[np.bool_]]:
            return {
                column.removeprefix(prefix): values.to_numpy()
                for column, values in columns.items()
                if column.startswith(prefix)
            }

        return PreparedSplit(
            name=name,
            source=source,
            rows=np.arange(start, stop, dtype=np.int64),
            photo_ids=columns["photo_id"].to_numpy(),
            file_names=columns["file_name"].to_pylist(),
            paths=columns["path"].to_pylist(),
            sizes=np.stack([columns["height"].to_numpy(), columns["width"].to_numpy()], axis=1).astype(np.int32),
            labels=np.unpackbits(bits[start:stop], axis=1, count=len(self.categories)).astype(np.bool_),
            masks=_range(MaskPlanes.open(files.masks), start, stop),
            subsets=booleans(SUBSET),
            flags=booleans(FLAG),
            mapped=photos[start:stop],
        )


def _range(planes: MaskPlanes, start: int, stop: int) -> MaskPlanes:
    """Return rows [start, stop) as views: no plane is read."""
    offsets = np.asarray(planes.offsets[start : stop + 1])
    first, last = int(offsets[0]), int(offsets[-1])
    return MaskPlanes(
        size=planes.size,
        categories=planes.categories,
        offsets=offsets - first,
        category=planes.category[first:last],
        bits=planes.bits[first:last],
    )


def _release(array: npt.NDArray[Any]) -> None:
    """Drop the pages of a mapped file from this process; they stay in the page cache and come back when touched."""
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = base.base if isinstance(base, np.ndarray) else None
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
