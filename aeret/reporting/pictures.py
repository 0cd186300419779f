"""Encode photos and category maps as small images."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from aeret.reporting.colours import OTHER, colours_of
from aeret.reporting.inputs import ReportInputs
from aeret.reporting.report import Picture, Swatch

_SAMPLE = 64  # photos that say which names show most
_ANYTHING = "anything"  # the channel of encoding "binary"
SURE, LIKELY = 0.5, 0.25
"""A cell of a decoded map is painted in full from the first probability on, half transparent from the second."""


def thumbnail(photo: NDArray[np.uint8], alt: str, side: int = 112, aspect: float = 1.0) -> Picture:
    """Return a photo as a small WebP.

    Args:
        photo: uint8 (S, S, 3), stretched to a square.
        alt: description for readers who cannot see it.
        side: longest side of the thumbnail, pixels; never enlarged.
        aspect: width over height of the original, to undo the stretch.
    """
    stretch = _shown(aspect)
    side = min(side, photo.shape[0])
    width, height = (side, round(side / stretch)) if stretch >= 1 else (round(side * stretch), side)
    image = Image.fromarray(np.ascontiguousarray(photo)).resize((width, height), Image.Resampling.LANCZOS)
    sink = io.BytesIO()
    image.save(sink, "WEBP", quality=74, method=4)
    return Picture(sink.getvalue(), "image/webp", width, height, alt, stretch)


def map_colours(inputs: ReportInputs) -> dict[str, str]:
    """Return the colour of every channel name in the report's maps, largest area first; "anything" is grey."""
    layouts, autoencoder, split = inputs.layouts, inputs.autoencoder, inputs.queries
    several = layouts is not None and len(layouts.names) > 1
    names = layouts.names if layouts is not None and several else inputs.categories
    area = np.zeros(len(names))
    if split is not None:
        dense = split.masks.dense(np.arange(min(_SAMPLE, len(split.photo_ids))))
        for layout in layouts.channels(dense) if layouts is not None and several else dense:
            winner, strength = _winners(layout)
            area += np.bincount(winner[strength >= SURE], minlength=len(names))
    ordered = [names[int(channel)] for channel in np.argsort(-area, kind="stable")]
    ordered += [] if autoencoder is None else autoencoder.names
    return colours_of(name for name in ordered if name != _ANYTHING) | {_ANYTHING: OTHER}


class Painter:
    """Paints the category maps of one strip in the report's colours, and keeps their legend."""

    def __init__(
        self,
        names: Sequence[str],
        maps: Sequence[NDArray[np.floating]],
        weights: Sequence[float],
        colours: Mapping[str, str],
    ) -> None:
        """Make the legend.

        Args:
            names: names of the channels.
            maps: float (h, w, channels) each, in [0, 1].
            weights: weight of each map's area in the order of the legend.
            colours: name to ``#rrggbb``, the same for all strips.
        """
        area = np.zeros(len(names))
        for layout, weight in zip(maps, weights, strict=True):
            winner, strength = _winners(layout)
            area += weight * np.bincount(winner[strength >= LIKELY], minlength=len(names))
        shown = [int(channel) for channel in np.argsort(-area, kind="stable") if area[channel] > 0]
        own = [colours.get(name, OTHER) for name in names]
        self._colours = np.array([_rgb(colour) for colour in own], np.uint8).reshape(-1, 3)
        self.legend = tuple(Swatch(own[channel], names[channel]) for channel in shown)

    def paint(self, layout: NDArray[np.floating], alt: str, aspect: float = 1.0) -> Picture:
        """Return a map as a PNG with a transparent ground.

        Where true masks overlap, the smaller object is on top; in a decoded map the most probable channel is.

        Args:
            layout: float (h, w, channels) in [0, 1]; 0 and 1 only for a true mask.
            alt: description for readers who cannot see it.
            aspect: width over height of the original photo.
        """
        height, width, _ = layout.shape
        winner, strength = _winners(layout)
        rgba = np.zeros((height, width, 4), np.uint8)
        rgba[:, :, 3] = np.select([strength >= SURE, strength >= LIKELY], [255, 96], 0)
        seen = rgba[:, :, 3] > 0
        rgba[seen, :3] = self._colours[winner[seen]]
        sink = io.BytesIO()
        _indexed(rgba).save(sink, "PNG", optimize=True)
        return Picture(sink.getvalue(), "image/png", width, height, alt, _shown(aspect), pixelated=True)


def _winners(layout: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """Return the channel that each cell shows and its value there, (h, w) each."""
    height, width, channels = layout.shape
    if not channels:
        return np.zeros((height, width), np.intp), np.zeros((height, width), np.float32)
    area = layout.sum(axis=(0, 1))
    preference = np.where(layout >= SURE, layout - 1e-4 * (area / (area.max() + 1e-9)), layout)
    winner = preference.argmax(axis=2)
    return winner, np.take_along_axis(layout, winner[:, :, None], axis=2)[:, :, 0]


def _indexed(rgba: NDArray[np.uint8]) -> Image.Image:
    """Return pixels uint8 (h, w, 4) as an image with a palette, if they have at most 256 colours."""
    colours, index = np.unique(rgba.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) > 256:
        return Image.fromarray(rgba)
    image = Image.fromarray(index.reshape(rgba.shape[:2]).astype(np.uint8), "P")
    image.putpalette(colours.tobytes(), "RGBA")
    return image


def _rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour[1:]))


def _shown(aspect: float) -> float:
    """Return the ratio of width to height that a picture is shown at."""
    return min(max(aspect, 0.4), 2.5)
