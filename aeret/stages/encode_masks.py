"""Encode all masks into normalised latent codes (stage ``encode-masks``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aeret.progress import Progress
from aeret.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NAME = "encode-masks"
SUMMARY = "Encode all masks; fit the normalisation of their codes on train."
INPUTS = ("prepare", "train-ae")
SECTIONS = ("latents",)

_BLOCK = 2048
_DEAD = 1e-3  # of the median standard deviation


@dataclass(frozen=True)
class MaskCodes:
    """The normalised codes of all splits, in the folder of an artifact."""

    folder: Path

    @classmethod
    def open(cls, folder: Path) -> MaskCodes:
        """Open the codes in an artifact of this stage."""
        return cls(folder)

    @classmethod
    def save(
        cls, folder: Path, splits: Mapping[str, npt.NDArray[np.float32]], spectrum: npt.NDArray[np.float64]
    ) -> None:
        """Write the codes (n, m) of each split and the spectrum (m,) of the training codes."""
        import numpy as np

        (folder / "codes").mkdir(parents=True, exist_ok=True)
        for name, codes in splits.items():
            np.save(cls(folder)._path(name), codes)
        np.save(folder / "spectrum.npy", spectrum)

    def of(self, split: str) -> npt.NDArray[np.float32]:
        """Return the memory-mapped codes of a split, float32 (n, m), row for row with the prepared split."""
        import numpy as np

        codes: npt.NDArray[np.float32] = np.load(self._path(split), mmap_mode="r")
        return codes

    def _path(self, split: str) -> Path:
        return self.folder / "codes" / f"{split}.npy"


def run(settings: Settings, inputs: Mapping[str, Path], out: Path, progress: Progress) -> dict[str, Any]:
    """Write into ``out`` a :class:`aeret.models.saved.SavedEncoder` that normalises, ``codes/<split>.npy`` with the
    normalised codes of every split, and ``spectrum.npy``: the variances of the training codes along their principal
    axes, before normalisation, float64 (m,), descending.

    The metrics describe the training codes: see :func:`_statistics`.
    """
    import numpy as np

    from aeret.data.prepared import SPLITS, Prepared
    from aeret.models.latents import fit_normaliser
    from aeret.models.saved import SavedEncoder

    prepared = Prepared.open(inputs["prepare"])
    raw_encoder = SavedEncoder.load(inputs["train-ae"])
    raw: dict[str, npt.NDArray[np.float32]] = {}
    for name in SPLITS:
        if name == "gallery" and prepared.leave_one_out:
            raw[name] = raw["query"]
            continue
        split = prepared.split(name)
        raw[name] = np.empty((len(split), raw_encoder.latent_size), np.float32)
        with progress(f"encode {name} masks", len(split), unit="mask") as advance:
            for start in range(0, len(split), _BLOCK):
                rows = np.arange(start, min(start + _BLOCK, len(split)))
                raw[name][rows] = raw_encoder.encode(split.masks, rows)
                advance(len(rows))
    normaliser = fit_normaliser(settings.latents.normalisation, raw["train"])
    SavedEncoder.of(raw_encoder.model, raw_encoder.size, raw_encoder.categories, normaliser).save(out)
    codes = {name: normaliser.apply(each) for name, each in raw.items()}
    metrics, spectrum = _statistics(raw["train"])
    MaskCodes.save(out, codes, spectrum)
    normalised, _ = _statistics(codes["train"])
    return {
        "normalisation": settings.latents.normalisation,
        "latent_size": raw_encoder.latent_size,
        "codes": {name: len(each) for name, each in raw.items()},
        "raw": metrics,
        "normalised": normalised,
    }


def _statistics(codes: npt.NDArray[np.float32]) -> tuple[dict[str, Any], npt.NDArray[np.float64]]:
    """Describe codes float32 (n, m).

    Returns:
        ``dead_units``: units whose standard deviation is below a thousandth of the median one;
        ``effective_dimensions``: participation ratio ``(sum v)^2 / sum v^2`` of the variances v along the principal
        axes, m when all are equal, 1 when one holds everything; ``dimensions_for_90_percent`` of the variance;
        ``largest_variance_shares``: of the first ten axes; and all variances, descending.
    """
    import numpy as np

    deviation = codes.std(axis=0, dtype=np.float64)
    centred = codes - codes.mean(axis=0, dtype=np.float64)
    spectrum = np.maximum(np.linalg.eigvalsh(centred.T @ centred / max(len(codes), 1))[::-1], 0.0)
    total = float(spectrum.sum())
    shares = spectrum / total if total > 0 else spectrum
    squares = float(np.square(shares).sum())
    values = {
        "dead_units": int((deviation <= _DEAD * np.median(deviation)).sum()),
        "effective_dimensions": 1.0 / squares if squares > 0 else 0.0,
        "dimensions_for_90_percent": int(np.searchsorted(np.cumsum(shares), 0.9 - 1e-12) + 1) if total > 0 else 0,
        "largest_variance_shares": [round(float(share), 6) for share in shares[:10]],
        "mean_absolute": float(np.abs(codes).mean()),
    }
    return values, spectrum
