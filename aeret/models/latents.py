"""Normalisation of latent codes, fitted on the training codes only and stored with the encoder.

Every normalisation is ``after((code - shift) * scale)``, or ``@ scale`` where scale is a matrix, so that a network can
compute it on its own tensors (:meth:`Normaliser.affine`). A direction that does not vary on the training codes becomes
0, everywhere: it says nothing, and dividing by its spread would blow rounding up into signal.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aeret.errors import DataError, UsageError
from aeret.registry import lookup

Floats = npt.NDArray[np.float32]
_CONSTANT = 1e-6  # of the largest spread: below it a direction counts as constant
_AFTER = ("", "clip", "l2")


@dataclass(frozen=True)
class Normaliser:
    """A fitted normalisation."""

    name: str
    shift: Floats
    """float32 (m,)."""
    scale: Floats
    """float32 (m,), or (m, m) for the whitenings."""
    back: Floats
    """float32 of the shape of ``scale``: undoes it where it can be undone."""
    after: str = ""
    """``clip`` to [0, 1], ``l2`` to unit length, or nothing."""

    @property
    def size(self) -> int:
        """Dimensions of a code, before and after."""
        return len(self.shift)

    def apply(self, codes: Floats) -> Floats:
        """Normalise codes.

        Args:
            codes: float32 (n, m), as the encoder gives them.

        Returns:
            float32 (n, m).

        Raises:
            UsageError: the codes have another size.
        """
        self._check(codes)
        moved: Floats = np.asarray(codes, np.float32) - self.shift
        moved = (moved * self.scale if self.scale.ndim == 1 else moved @ self.scale).astype(np.float32)
        if self.after == "l2":
            return _unit(moved)
        return moved.clip(0.0, 1.0) if self.after == "clip" else moved

    def invert(self, codes: Floats) -> Floats:
        """Go back from normalised codes float32 (n, m) to the encoder's; constant directions get their constant.

        ``clip`` cannot be undone outside [0, 1], and for ``l2`` every code comes back with the mean length of the
        training codes.

        Raises:
            UsageError: the codes have another size.
        """
        self._check(codes)
        codes = np.asarray(codes, np.float32)
        if self.after == "l2":
            codes = _unit(codes)
        moved: Floats = codes * self.back if self.back.ndim == 1 else codes @ self.back
        return moved + self.shift

    def affine(self) -> tuple[Floats, Floats, str]:
        """Return (shift, scale, after) for use inside a network; see the module docstring."""
        return self.shift, self.scale, self.after

    def save(self, path: Path) -> None:
        """Write an ``.npz`` file."""
        np.savez(path, name=self.name, shift=self.shift, scale=self.scale, back=self.back, after=self.after)

    @classmethod
    def load(cls, path: Path) -> Normaliser:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: the file is missing or damaged.
        """
        try:
            # Through a file of our own: np.load leaves its own open where the archive is damaged.
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                result = cls(str(file["name"]), file["shift"], file["scale"], file["back"], str(file["after"]))
        except FileNotFoundError:
            raise DataError(f"{path}: is missing; `aeret stage encode-masks` writes it.") from None
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: holds no normaliser ({error}); run `aeret stage encode-masks` again.") from None
        size = len(result.shift)
        if result.after not in _AFTER or result.scale.shape not in ((size,), (size, size)):
            raise DataError(f"{path}: holds no normaliser of this aeret; run `aeret stage encode-masks` again.")
        return result

    def _check(self, codes: Floats) -> None:
        if codes.ndim != 2 or codes.shape[1] != self.size:
            raise UsageError(f"normaliser {self.name!r}: expected codes (n, {self.size}), got {tuple(codes.shape)}.")


def fit_normaliser(name: str, codes: Floats) -> Normaliser:
    """Fit a normalisation on the codes of the *training* masks.

    Args:
        name: a key of :data:`NORMALISATIONS`.
        codes: float32 (n, m).

    Raises:
        UnknownNameError: there is no such normalisation.
        UsageError: there are no codes, or not all are finite.
    """
    fit = lookup(NORMALISATIONS, name, "normalisation")
    if codes.ndim != 2 or not codes.size:
        raise UsageError(f"normalisation {name!r}: expected codes (n, m) of at least one mask, got {codes.shape}.")
    if not np.isfinite(codes).all():
        rows = np.flatnonzero(~np.isfinite(codes).all(axis=1))
        raise UsageError(
            f"normalisation {name!r}: {len(rows)} of {len(codes)} codes hold NaN or infinity (first: row {rows[0]}); "
            "the autoencoder diverged, train it again with a lower learning rate."
        )
    return fit(np.asarray(codes, np.float64))


def identity(size: int) -> Normaliser:
    """Return the normaliser that changes nothing."""
    ones = np.ones(size, np.float32)
    return Normaliser("none", np.zeros(size, np.float32), ones, ones)


def _none(codes: npt.NDArray[np.float64]) -> Normaliser:
    return identity(codes.shape[1])


def _minmax(codes: npt.NDArray[np.float64]) -> Normaliser:
    """(z - min) / (max - min), clipped to [0, 1] (the paper's "normalised", as its language usually means it)."""
    low, high = codes.min(axis=0), codes.max(axis=0)
    return _diagonal("minmax", low, high - low, "clip")


def _zscore(codes: npt.NDArray[np.float64]) -> Normaliser:
    """(z - mean) / standard deviation (divisor n)."""
    return _diagonal("zscore", codes.mean(axis=0), codes.std(axis=0), "")


def _l2(codes: npt.NDArray[np.float64]) -> Normaliser:
    """z / |z|; a zero code stays zero."""
    size = codes.shape[1]
    length = float(np.linalg.norm(codes, axis=1).mean())
    return Normaliser(
        "l2", np.zeros(size, np.float32), np.ones(size, np.float32), np.full(size, length, np.float32), "l2"
    )


def _whiten(codes: npt.NDArray[np.float64]) -> Normaliser:
    """Rotate onto the principal axes of the codes and divide each by its standard deviation (PCA whitening)."""
    return _rotate("whiten", codes, power=1.0)


def _half_whiten(codes: npt.NDArray[np.float64]) -> Normaliser:
    """Rotate onto the principal axes, divide by the *root* of the standard deviation, then scale to mean variance 1.

    Between ``none``, where the few largest axes are all that a squared error sees, and ``whiten``, where the many
    smallest, which no photo predicts, weigh as much as they.
    """
    return _rotate("half-whiten", codes, power=0.5)


def _diagonal(name: str, shift: npt.NDArray[np.float64], spread: npt.NDArray[np.float64], after: str) -> Normaliser:
    # Rounding of a mean or a maximum grows with the size of the values, so the guard does too.
    floor = _CONSTANT * max(float(spread.max()), 1e-6 * float(np.abs(shift).max()))
    varies = spread > floor
    scale = np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0)
    back = np.where(varies, spread, 0.0)
    return Normaliser(name, _single(shift), _single(scale), _single(back), after)


def _rotate(name: str, codes: npt.NDArray[np.float64], power: float) -> Normaliser:
    mean = codes.mean(axis=0)
    values, axes = np.linalg.eigh((codes - mean).T @ (codes - mean) / len(codes))
    values, axes = np.maximum(values[::-1], 0.0), axes[:, ::-1]
    deviation = np.sqrt(values)
    # Root of the eigenvalue solver's own rounding: directions below are noise of the arithmetic, not of the masks.
    varies = deviation > 1e-4 * deviation[0]
    spread = np.where(varies, deviation, 1.0) ** power
    spread *= np.sqrt(np.mean((deviation / spread)[varies] ** 2)) if power < 1 and varies.any() else 1.0
    scale = axes * np.where(varies, 1.0 / spread, 0.0)
    back = (axes * np.where(varies, spread, 0.0)).T
    return Normaliser(name, _single(mean), _single(scale), _single(back))


def _single(values: npt.NDArray[Any]) -> Floats:
    return np.ascontiguousarray(values, np.float32)


def _unit(codes: Floats) -> Floats:
    length = np.linalg.norm(codes, axis=1, keepdims=True)
    unit: Floats = codes / np.maximum(length, 1e-6)
    return unit


NORMALISATIONS: dict[str, Callable[[npt.NDArray[np.float64]], Normaliser]] = {
    "minmax": _minmax,
    "zscore": _zscore,
    "l2": _l2,
    "whiten": _whiten,
    "half-whiten": _half_whiten,
    "none": _none,
}
"""Name -> fit on codes float64 (n, m)."""
