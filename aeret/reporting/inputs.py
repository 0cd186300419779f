"""Hold what a report needs beside the evaluation: photos, masks, layouts, trainings, records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from aeret.artifacts import Record

Maps = NDArray[np.float32]
"""Category maps, float32 (b, h, w, channels)."""


class Planes(Protocol):
    """Category masks that can be opened by row (:class:`aeret.data.masks.MaskPlanes`)."""

    def dense(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return 0/1 masks, uint8 (b, size, size, categories)."""
        ...


class Split(Protocol):
    """Photos with labels and masks, row for row (:class:`aeret.data.prepared.PreparedSplit`)."""

    @property
    def photo_ids(self) -> NDArray[np.int64]:
        """Ids, int64 (n,)."""
        ...

    @property
    def sizes(self) -> NDArray[np.int32]:
        """Height and width of the original photos, int32 (n, 2)."""
        ...

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Categories of each photo, bool (n, categories)."""
        ...

    @property
    def masks(self) -> Planes:
        """Masks of the photos."""
        ...

    @property
    def flags(self) -> dict[str, NDArray[np.bool_]]:
        """Name to a flag per photo, bool (n,)."""
        ...

    def photos(self, positions: ArrayLike) -> NDArray[np.uint8]:
        """Return photos, uint8 (b, S, S, 3)."""
        ...


@dataclass(frozen=True)
class Layouts:
    """Latent codes of the queries, and the way from a code to a map."""

    names: tuple[str, ...]
    """Names of the channels of a map."""
    channels: Callable[[NDArray[np.uint8]], Maps]
    """From true masks, uint8 (b, h, w, categories), to the channels of the autoencoder."""
    query_codes: NDArray[np.float32]
    """Predicted from the query photos, float32 (q, m)."""
    true_codes: NDArray[np.float32]
    """Encoded from the query photos' own masks, float32 (q, m)."""
    decode: Callable[[NDArray[np.float32]], Maps]
    """From codes (b, m) to probabilities."""
    length_is_learnt: bool = True
    """False for a loss that compares only the direction of codes."""

    @property
    def scale(self) -> float:
        """Least-squares factor from predicted to true codes; 1 if lengths are learnt."""
        if self.length_is_learnt:
            return 1.0
        power = float(np.vdot(self.query_codes, self.query_codes))
        return float(np.vdot(self.query_codes, self.true_codes)) / power if power > 0 else 1.0

    def believed(self, row: int) -> NDArray[np.float32]:
        """Decode the code predicted from one query photo, float32 (h, w, channels).

        If lengths are not learnt, the code is first scaled to the mean length of the true codes.
        """
        code = np.array(self.query_codes[row : row + 1], np.float32)
        if not self.length_is_learnt:
            typical = np.linalg.norm(self.true_codes, axis=1).mean()
            code *= typical / max(float(np.linalg.norm(code)), 1e-12)
        decoded: NDArray[np.float32] = self.decode(code)[0]
        return decoded


@dataclass(frozen=True)
class Autoencoder:
    """Metrics of the mask autoencoder, and a few held-out masks with their reconstructions."""

    metrics: Mapping[str, Any]
    """Metrics of stage ``train-ae``."""
    true: Maps | None = None
    reconstructed: Maps | None = None
    pca: Maps | None = None
    """Reconstructions by a PCA of the same size."""
    names: tuple[str, ...] = ()
    """Names of the channels."""


@dataclass(frozen=True)
class Training:
    """The epochs of one training."""

    stage: str
    history: pd.DataFrame
    """One row per epoch."""
    monitor: str = "val_loss"
    """Column of the history that chose the epoch."""


@dataclass(frozen=True)
class ReportInputs:
    """What a report shows beside the evaluation; the report says which parts are absent."""

    categories: tuple[str, ...] = ()
    """Names, in the order of label columns."""
    queries: Split | None = None
    gallery: Split | None = None
    layouts: Layouts | None = None
    autoencoder: Autoencoder | None = None
    trainings: tuple[Training, ...] = ()
    records: Mapping[str, Record] = field(default_factory=dict)
    """Earlier stage to the record of its artifact."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """All resolved settings."""
    title: str = "Retrieval report"
    date: str = ""
    """ISO time at which the evaluation started."""
    examples: int = 6
    """Number of best and of worst queries shown."""
    warnings: tuple[str, ...] = ()
    """Shown before the numbers, e.g. that masks are not real."""

    @property
    def classic(self) -> str:
        """Name of the classic feature; "" if a network made the embedding."""
        features = str(self.settings.get("embed", {}).get("features", "cnn"))
        return "" if features == "cnn" else features
