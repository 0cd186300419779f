"""Make the noise fields that texture surfaces, once per seed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from aeret.rng import generator

Field = npt.NDArray[np.float32]

_SIDE = 256
_ROUGHNESS = {
    # name: (exponent of the spectrum, stretch of x against y)
    "grain": (0.4, 1.0),
    "leaves": (0.9, 1.0),
    "cloth": (1.3, 1.0),
    "cloud": (1.9, 2.2),
    "streaks": (1.0, 9.0),
    "bark": (1.0, 0.15),
}


class NoiseBank:
    """Tileable noise of several kinds; float32, mean 0, standard deviation 1."""

    def __init__(self, seed: int) -> None:
        """Draw all fields from ``seed``."""
        rng = generator(seed, "scenes", "noise")
        self._fields = {name: _field(rng, *shape) for name, shape in _ROUGHNESS.items()}

    def patch(self, rng: np.random.Generator, name: str, height: int, width: int, step: int = 1) -> Field:
        """Cut float32 (height, width) at a random place; ``step`` > 1 is finer."""
        top, left = rng.integers(0, _SIDE, 2)
        rows = (top + step * np.arange(height)) % _SIDE
        columns = (left + step * np.arange(width)) % _SIDE
        cut: Field = self._fields[name][rows[:, None], columns[None, :]]
        return cut

    def ground(self, rng: np.random.Generator, name: str, height: int, width: int, near: float = 40.0) -> Field:
        """Cut float32 (height, width) of a plane in perspective, finer at the top."""
        top, left = rng.integers(0, _SIDE, 2)
        distance = near / (np.arange(height) + 2.0) * height / 20.0
        rows = (top + 6.0 * distance).astype(np.int64) % _SIDE
        spread = np.clip(distance / distance[-1], 1.0, 6.0) if height else distance
        columns = (left + spread[:, None] * (np.arange(width) - width / 2)[None, :]).astype(np.int64) % _SIDE
        cut: Field = self._fields[name][rows[:, None], columns]
        return cut


@lru_cache(maxsize=4)
def noise_bank(seed: int) -> NoiseBank:
    """Return the bank of a seed, cached."""
    return NoiseBank(seed)


def _field(rng: np.random.Generator, exponent: float, stretch: float) -> Field:
    frequency_y = np.fft.fftfreq(_SIDE)[:, None]
    frequency_x = np.fft.rfftfreq(_SIDE)[None, :] * stretch
    radius = np.hypot(frequency_y, frequency_x)
    radius[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((_SIDE, _SIDE))) / radius**exponent
    field = np.fft.irfft2(spectrum, s=(_SIDE, _SIDE))
    scaled: Field = ((field - field.mean()) / field.std()).astype(np.float32)
    return scaled
