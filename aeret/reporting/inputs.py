"""Hold what a report shows beside the evaluation: photos, layouts, trainings, records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from aeret.artifacts import Record


class Planes(Protocol):
    """Category masks that can be opened by row (:class:`aeret.data.masks.MaskPlanes`)."""

    def dense(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return 0/1 masks, uint8 (b, size, size, categories)."""
        ...


class Split(Protocol):
    """Photos with labels and masks (:class:`aeret.data.prepared.PreparedSplit`)."""

    @property
    def photo_ids(self) -> NDArray[np.int64]:
        """int64 (n,)."""
        ...

    @property
    def file_names(self) -> list[str]:
        """Of the original photos."""
        ...

    @property
    def sizes(self) -> NDArray[np.int32]:
        """Height and width of the original photos, int32 (n, 2)."""
        ...

    @property
    def labels(self) -> NDArray[np.bool_]:
        """bool (n, categories)."""
        ...

    @property
    def masks(self) -> Planes:
        """Row for row with the photos."""
        ...

    @property
    def flags(self) -> dict[str, NDArray[np.bool_]]:
        """Per-photo flags of the collection."""
        ...

    def photos(self, positions: ArrayLike) -> NDArray[np.uint8]:
        """Return uint8 (b, S, S, 3)."""
        ...


@dataclass(frozen=True)
class Layouts:
    """Latent codes and the way back from a code to a map."""

    names: tuple[str, ...]
    """Of the channels of a map."""
    channels: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    """True masks uint8 (b, h, w, categories) to the autoencoder's channels, float32 (b, h, w, channels)."""
    query_codes: NDArray[np.float32]
    """Predicted from the query photos, float32 (q, m)."""
    true_codes: NDArray[np.float32]
    """Of the query photos' own masks, float32 (q, m)."""
    decode: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    """Codes (b, m) to probabilities, float32 (b, h, w, channels)."""
    length_is_learnt: bool = True
    """False where the loss looks at the direction of a code only."""

    @property
    def scale(self) -> float:
        """Factor that brings predictions nearest to the true codes, by least squares; 1 where lengths are learnt."""
        if self.length_is_learnt:
            return 1.0
        power = float(np.vdot(self.query_codes, self.query_codes))
        return float(np.vdot(self.query_codes, self.true_codes)) / power if power > 0 else 1.0

    def believed(self, row: int) -> NDArray[np.float32]:
        """Decode the code predicted from one query photo, float32 (h, w, channels).

        Where lengths are not learnt it is first brought to the mean length of the true codes.
        """
        code = np.array(self.query_codes[row : row + 1], np.float32)
        if not self.length_is_learnt:
            typical = np.linalg.norm(self.true_codes, axis=1).mean()
            code *= typical / max(float(np.linalg.norm(code)), 1e-12)
        decoded: NDArray[np.float32] = self.decode(code)[0]
        return decoded


@dataclass(frozen=True)
class Autoencoder:
    """How well the mask autoencoder reconstructs masks it has not seen."""

    metrics: Mapping[str, Any]
    """Of stage ``train-ae``."""
    true: NDArray[np.float32] | None = None
    """A few held-out masks, float32 (b, h, w, channels)."""
    reconstructed: NDArray[np.float32] | None = None
    pca: NDArray[np.float32] | None = None
    """The same masks as PCA of the same size reconstructs them."""
    names: tuple[str, ...] = ()
    """Of the channels."""


@dataclass(frozen=True)
class Training:
    """One training's epochs."""

    stage: str
    history: pd.DataFrame
    """A row an epoch."""
    monitor: str = "val_loss"
    """What chose the epoch: a column of the history."""


@dataclass(frozen=True)
class ReportInputs:
    """Everything beside the evaluation; any part may be absent and is then said to be."""

    categories: tuple[str, ...] = ()
    """Names, in the order of label columns."""
    queries: Split | None = None
    gallery: Split | None = None
    layouts: Layouts | None = None
    autoencoder: Autoencoder | None = None
    trainings: tuple[Training, ...] = ()
    records: Mapping[str, Record] = field(default_factory=dict)
    """Stage to the record of its artifact, for the stages before this one."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All resolved settings."""
    title: str = "Retrieval report"
    date: str = ""
    """ISO time at which the evaluation started."""
    examples: int = 6
    """Best and worst queries shown."""
    warnings: tuple[str, ...] = ()
    """What the reader must know first, e.g. that masks are not real."""

    @property
    def classic(self) -> str:
        """Name of the classic feature that stands in for a network; "" where there is a network."""
        features = str(self.settings.get("embed", {}).get("features", "cnn"))
        return "" if features == "cnn" else features
