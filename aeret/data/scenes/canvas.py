"""Hold a photo while it is painted: colours, and which thing owns each pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from aeret.data.scenes.shapes import Figure
from aeret.data.scenes.textures import NoiseBank

UNOWNED = -1
_FINE = 2
"""Figures are drawn at this multiple of the photo's resolution, then averaged."""


class Canvas:
    """A photo being painted from far to near.

    Attributes:
        colour: float32 (height, width, 3), RGB 0..255.
        owner: int16 (height, width), number of the thing that is seen at each pixel, or :data:`UNOWNED`.
    """

    def __init__(
        self, height: int, width: int, light: tuple[float, float], bank: NoiseBank, rng: np.random.Generator
    ) -> None:
        """Start with black.

        Args:
            height: pixels.
            width: pixels.
            light: direction (x, y) that light comes from, at most length 1.
            bank: textures.
            rng: chooses where textures are cut.
        """
        self.height, self.width = height, width
        self.light = light
        self._bank, self._rng = bank, rng
        self.colour = np.zeros((height, width, 3), dtype=np.float32)
        self.owner = np.full((height, width), UNOWNED, dtype=np.int16)

    def paint(
        self, figure: Figure, left: float, top: float, height: float, owner: int = UNOWNED, haze: float = 0.0
    ) -> int:
        """Paint a figure over what is there.

        Args:
            figure: what to paint.
            left: left edge of its box, pixels.
            top: upper edge of its box, pixels.
            height: height of its box, pixels.
            owner: number written into :attr:`owner` where it covers at least half a pixel.
            haze: share of its colour lost to the air.

        Returns:
            How many pixels it covers inside the photo.
        """
        x0, y0 = max(int(np.floor(left)) - 1, 0), max(int(np.floor(top)) - 1, 0)
        x1 = min(int(np.ceil(left + figure.aspect * height)) + 1, self.width)
        y1 = min(int(np.ceil(top + height)) + 1, self.height)
        if x1 <= x0 or y1 <= y0:
            return 0
        paints = _draw(figure, left - x0, top - y0, height, y1 - y0, x1 - x0)
        seen = (paints > 0).astype(np.float32)
        palette = np.array(figure.colours, dtype=np.float32)
        alpha = _pool(seen)
        summed = np.stack([_pool(palette[:, channel][paints]) for channel in range(3)], axis=-1)
        colour = summed / np.maximum(alpha, 1e-6)[..., None]
        colour *= self._surface(figure, left - x0, top - y0, height, y1 - y0, x1 - x0)[..., None]
        region = self.colour[y0:y1, x0:x1]
        if haze > 0:
            colour += haze * (region.mean(axis=(0, 1)) - colour)
        region += alpha[..., None] * (np.minimum(colour, 255) - region)
        covered = alpha >= 0.5
        self.owner[y0:y1, x0:x1][covered] = owner
        return int(covered.sum())

    def patch(self, name: str, height: int, width: int, step: int = 1) -> npt.NDArray[np.float32]:
        """Return a texture, see :meth:`NoiseBank.patch`."""
        return self._bank.patch(self._rng, name, height, width, step)

    def ground(self, name: str, height: int, width: int) -> npt.NDArray[np.float32]:
        """Return the texture of a plane, see :meth:`NoiseBank.ground`."""
        return self._bank.ground(self._rng, name, height, width)

    def shadow(self, x: float, y: float, half_width: float, half_height: float, strength: float) -> None:
        """Darken an ellipse with a soft edge; lengths in pixels."""
        x0, x1 = max(int(x - half_width), 0), min(int(x + half_width) + 1, self.width)
        y0, y1 = max(int(y - half_height), 0), min(int(y + half_height) + 1, self.height)
        if x1 <= x0 or y1 <= y0:
            return
        across = ((np.arange(x0, x1) - x) / max(half_width, 1e-6)) ** 2
        down = ((np.arange(y0, y1) - y) / max(half_height, 1e-6)) ** 2
        depth = np.clip(1 - (across[None, :] + down[:, None]), 0, 1).astype(np.float32)
        self.colour[y0:y1, x0:x1] *= 1 - strength * np.minimum(depth * 1.6, 1)[..., None]

    def _surface(
        self, figure: Figure, left: float, top: float, height: float, rows: int, columns: int
    ) -> npt.NDArray[np.float32]:
        """Return the brightness of the figure's surface: light from one side, times texture."""
        across = ((np.arange(columns) - left) / (figure.aspect * height) * 2 - 1).astype(np.float32)
        down = ((np.arange(rows) - top) / height * 2 - 1).astype(np.float32)
        surface = 1 + 0.2 * (self.light[0] * across[None, :] + self.light[1] * down[:, None])
        grain = self.patch(figure.texture, rows, columns, 2 if height < 40 else 1)
        shaded: npt.NDArray[np.float32] = np.clip(surface * (1 + figure.roughness * grain), 0.2, 1.9)
        return shaded


def _draw(figure: Figure, left: float, top: float, height: float, rows: int, columns: int) -> npt.NDArray[np.uint8]:
    image = Image.new("L", (columns * _FINE, rows * _FINE))
    pen = ImageDraw.Draw(image)
    offset = np.array([left, top]) * _FINE - 0.5
    for points, paint in figure.layers:
        pen.polygon((points * (height * _FINE) + offset).ravel().tolist(), fill=paint)
    return np.asarray(image)


def _pool(fine: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Average blocks of 2 x 2."""
    rows = fine[0::2] + fine[1::2]
    mean: npt.NDArray[np.float32] = (rows[:, 0::2] + rows[:, 1::2]) * np.float32(0.25)
    return mean
