"""Draw a contact sheet of photos before and after background removal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from aeret.data.photos import PhotoFile, Photos, decode_photo

_PHOTOS, _ACROSS = 24, 8


def write_sheet(files: Sequence[PhotoFile], photos: Photos, out: Path) -> None:
    """Write at most 24 evenly spaced photos, each above its changed version, as a PNG.

    Args:
        files: the originals.
        photos: the changed photos, uint8 (n, S, S, 3).
        out: the picture.
    """
    rows = np.unique(np.linspace(0, len(files) - 1, min(_PHOTOS, len(files))).round().astype(np.int64)).tolist()
    side = photos.shape[1]
    cell = side + 4
    sheet = Image.new("RGB", (_ACROSS * cell, -(-len(rows) // _ACROSS) * (2 * cell + 4)), "white")
    for place, row in enumerate(rows):
        x, y = place % _ACROSS * cell, place // _ACROSS * (2 * cell + 4)
        sheet.paste(Image.fromarray(decode_photo(files[row], side)), (x, y))
        sheet.paste(Image.fromarray(np.ascontiguousarray(photos[row])), (x, y + side))
    sheet.save(out)
