"""Photos and category maps as small encoded images."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aeret.reporting.values import Picture, Swatch

PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
"""Okabe and Ito (2008): told apart by people with any common kind of colour blindness."""
OTHER = "#8d949b"
SURE, LIKELY = 0.5, 0.25
"""A cell of a decoded map is painted in full from the first probability on, half transparent from the second."""


def thumbnail(photo: NDArray[np.uint8], alt: str, side: int = 112, aspect: float = 1.0) -> Picture:
    """Return a photo as a small WebP.

    Args:
        photo: uint8 (S, S, 3), stretched to a square.
        alt: what a reader hears who cannot see it.
        side: longest side in pixels of the thumbnail; never enlarged.
        aspect: width over height of the original, to undo the stretch.
    """
    stretch = min(max(aspect, 0.4), 2.5)
    side = min(side, photo.shape[0])
    width, height = (side, round(side / stretch)) if stretch >= 1 else (round(side * stretch), side)
    image = Image.fromarray(np.ascontiguousarray(photo)).resize((width, height), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    image.save(sink, "WEBP", quality=74, method=4)
    return Picture(sink.getvalue(), "image/webp", width, height, alt, stretch)


class Painter:
    """Paints category maps of one strip: its commonest channels get a colour each, the rest share grey."""

    def __init__(self, names: Sequence[str], maps: Sequence[NDArray[np.floating]], weights: Sequence[float]) -> None:
        """Choose the colours.

        Args:
            names: of the channels.
            maps: float (h, w, channels) each, in [0, 1].
            weights: how much each map counts in the choice; the query's own counts most.
        """
        area = np.zeros(len(names))
        for layout, weight in zip(maps, weights, strict=True):
            area += weight * np.where(layout >= SURE, layout, 0.0).sum(axis=(0, 1))
        order = [int(channel) for channel in np.argsort(-area, kind="stable") if area[channel] > 0]
        self._colour = np.full(len(names), len(PALETTE), np.intp)
        for place, channel in enumerate(order[: len(PALETTE)]):
            self._colour[channel] = place
        legend = [Swatch(PALETTE[place], names[channel]) for place, channel in enumerate(order[: len(PALETTE)])]
        rest = len(order) - len(legend)
        if rest > 0:
            legend.append(Swatch(OTHER, f"{rest} other" if rest > 1 else names[order[-1]]))
        self.legend = tuple(legend)

    def paint(self, layout: NDArray[np.floating], alt: str, aspect: float = 1.0) -> Picture:
        """Return a map as a PNG with a transparent ground.

        Where true masks overlap, the smaller object is on top; in a decoded map the most probable channel is.

        Args:
            layout: float (h, w, channels) in [0, 1]; 0 and 1 only for a true mask.
            alt: what a reader hears who cannot see it.
            aspect: width over height of the original photo.
        """
        height, width, channels = layout.shape
        area = layout.sum(axis=(0, 1))
        preference = np.where(layout >= SURE, layout - 1e-4 * (area / (area.max() + 1e-9)), layout)
        winner = preference.argmax(axis=2) if channels else np.zeros((height, width), np.intp)
        strength = np.take_along_axis(layout, winner[:, :, None], axis=2)[:, :, 0]
        colours = np.array([_rgb(colour) for colour in (*PALETTE, OTHER)], np.uint8)
        rgba = np.zeros((height, width, 4), np.uint8)
        rgba[:, :, :3] = colours[self._colour[winner]]
        rgba[:, :, 3] = np.select([strength >= SURE, strength >= LIKELY], [255, 96], 0)
        rgba[rgba[:, :, 3] == 0] = 0
        sink = io.BytesIO()
        Image.fromarray(rgba).quantize(method=Image.Quantize.FASTOCTREE).save(sink, "PNG", optimize=True)
        return Picture(sink.getvalue(), "image/png", width, height, alt, min(max(aspect, 0.4), 2.5), pixelated=True)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
