"""Save and open sets of embeddings: memory-mapped ``.npy`` files, and Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from aeret.artifacts import replacing_file
from aeret.errors import DataError, UsageError

VECTORS, ROWS = "vectors.npy", "rows.parquet"
_ID = "photo_id"


@dataclass(frozen=True)
class EmbeddingSet:
    """Hold embeddings of ``n`` photos, a row each.

    Example:
        >>> found = EmbeddingSet(np.zeros((2, 4), np.float32), np.array([7, 9]))
        >>> len(found)
        2
    """

    vectors: NDArray[np.float32]
    """float32 (n, d)."""
    ids: NDArray[np.int64]
    """Photo ids, int64 (n,)."""
    columns: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))
    """One value a photo (file name, flags), name to array (n,)."""
    matrices: Mapping[str, NDArray[Any]] = field(default_factory=lambda: MappingProxyType({}))
    """More vectors of the same photos (predicted codes, label scores), name to array (n, m)."""

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.vectors.dtype != np.float32:
            raise UsageError(
                f"Embeddings must be float32 (n, d); got {self.vectors.dtype} of shape {self.vectors.shape}."
            )
        parts = {"vectors": self.vectors, **self.columns, **self.matrices}
        for name, part in parts.items():
            if len(part) != len(self):
                raise UsageError(f"An embedding set of {len(self)} ids cannot have {len(part)} rows of {name!r}.")
        if _ID in self.columns:
            raise UsageError(f"An embedding set cannot have a column {_ID!r}: its ids are saved under that name.")
        for name in self.matrices:
            if not name.isidentifier() or f"{name}.npy" == VECTORS:
                raise UsageError(f"A matrix of an embedding set cannot be named {name!r}: use a plain word.")

    def __len__(self) -> int:
        return len(self.ids)

    def save(self, folder: Path) -> None:
        """Write ``vectors.npy``, ``<matrix>.npy`` and ``rows.parquet`` (ids and columns) into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / VECTORS, np.ascontiguousarray(self.vectors))
        for name, matrix in self.matrices.items():
            np.save(folder / f"{name}.npy", np.ascontiguousarray(matrix))
        write_rows(folder, self.ids, self.columns)

    @classmethod
    def open(cls, folder: Path, mmap: bool = True) -> EmbeddingSet:
        """Open what :meth:`save` wrote; arrays are memory-mapped and read-only unless ``mmap`` is off.

        Raises:
            DataError: the folder holds no embeddings, or damaged ones.
        """
        try:
            rows = pd.read_parquet(folder / ROWS)
            arrays = {
                path.stem: np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
                for path in sorted(folder.glob("*.npy"))
            }
            vectors = arrays.pop(Path(VECTORS).stem)
            ids = rows.pop(_ID).to_numpy(np.int64)
            return cls(vectors, ids, {str(name): rows[name].to_numpy() for name in rows}, arrays)
        except (FileNotFoundError, KeyError):
            raise DataError(f"{folder}: holds no embeddings ({VECTORS} and {ROWS}); run the stage embed.") from None
        except (ValueError, OSError, UsageError) as error:
            raise DataError(f"{folder}: holds damaged embeddings ({error}); run the stage embed again.") from None


@dataclass(frozen=True)
class EmbeddedPhotos:
    """Find what the stage ``embed`` wrote: sets of query and gallery, or of a folder of photos."""

    folder: Path
    QUERY: ClassVar[str] = "query"
    """Written unless the queries are the gallery."""
    GALLERY: ClassVar[str] = "gallery"
    FOLDER: ClassVar[str] = "photos"
    """Written in place of the two others if a folder of photos was embedded."""

    @property
    def has_splits(self) -> bool:
        """Whether query and gallery were embedded, not a folder of photos."""
        return not (self.folder / self.FOLDER).is_dir()

    def open(self, name: str) -> EmbeddingSet:
        """Open one of the sets; one that is missing or damaged is a DataError."""
        return EmbeddingSet.open(self.folder / name)

    @property
    def searched(self) -> EmbeddingSet:
        """The set that a search looks in: the gallery, or the folder of photos."""
        return self.open(self.GALLERY if self.has_splits else self.FOLDER)


def write_rows(folder: Path, ids: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> None:
    """Write ids and columns as ``rows.parquet``; its presence says that the set is complete, so it is written last."""
    frame = pd.DataFrame({_ID: np.asarray(ids, np.int64), **{name: np.asarray(c) for name, c in columns.items()}})
    with replacing_file(folder / ROWS, folder / f".{ROWS}.tmp") as file:
        frame.to_parquet(file, index=False)
