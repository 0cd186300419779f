"""Fill the background of a photo."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from aeret.data.background.foreground import Photo

Colour = npt.NDArray[np.uint8]
"""uint8 (3,), RGB: the mean of train photos."""
_BLUR = 1 / 16  # of the photo's side


def _mean(photo: Photo, colour: Colour) -> Photo:
    return np.broadcast_to(colour, photo.shape)


def _black(photo: Photo, colour: Colour) -> Photo:
    return np.zeros_like(photo)


def _blur(photo: Photo, colour: Colour) -> Photo:
    return np.asarray(Image.fromarray(photo).filter(ImageFilter.GaussianBlur(_BLUR * len(photo))))


FILLS: dict[str, Callable[[Photo, Colour], Photo]] = {"mean": _mean, "black": _black, "blur": _blur}
"""Values of ``data.background_fill``; from photo and mean colour to uint8 (S, S, 3)."""
