"""A contact sheet: photos with their masks and names over them, to see that a collection is read as it is meant."""

from __future__ import annotations

import colorsys
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from aeret.artifacts import replacing_file, system_error
from aeret.data.collection import NO_MASK, Collection, read_collection
from aeret.data.manifest import SPLITS, Manifest
from aeret.data.masks import coverage
from aeret.data.photos import PhotoFile, decode_photo
from aeret.data.selection import select_photos
from aeret.errors import UsageError
from aeret.registry import lookup
from aeret.rng import generator

_MARGIN = 6
_CAPTION = 16
_OPACITY = 0.42
_BACKGROUND = (24, 26, 30)
_FORMATS = (".png", ".jpg", ".jpeg", ".webp")


def contact_sheet(manifest: Manifest, split: str, count: int, seed: int, out: Path, cell: int = 256) -> None:
    """Draw photos of a split with masks and names; write one picture.

    Args:
        manifest: as loaded, its files there.
        split: ``train``, ``query`` or ``gallery``.
        count: photos, chosen at random by ``seed``; all where there are fewer.
        seed: of the choice.
        out: the picture, PNG, JPEG or WebP by its ending.
        cell: longer side of a photo on the sheet, pixels, 32 to 2048.

    Raises:
        UsageError: an argument is out of range.
        DataError: a photo or an annotation file is broken.
        AeretError: the picture cannot be written (:func:`aeret.artifacts.system_error`).
    """
    lookup(dict.fromkeys(SPLITS), split, "split")
    if count < 1:
        raise UsageError(f"photos={count}: expected at least 1.")
    if not 32 <= cell <= 2048:
        raise UsageError(f"cell={cell}: expected 32 to 2048 pixels.")
    if out.suffix.lower() not in _FORMATS:
        raise UsageError(f"{out}: expected a file name that ends in {', '.join(_FORMATS)}.")
    collections = {name: read_collection(manifest.sources[name].annotations) for name in manifest.used_sources}
    rows = select_photos(manifest, collections)[split]
    chosen = np.sort(generator(seed, "contact sheet", split).choice(rows, min(count, len(rows)), replace=False))
    source = manifest.splits[split].source
    collection, photos = collections[source], manifest.sources[source].photos
    tiles = [annotated_photo(collection, row, photos, cell) for row in chosen.tolist()]
    _write(_sheet(tiles, cell), out)


def annotated_photo(collection: Collection, row: int, photos: Path, size: int) -> Image.Image:
    """Return one photo with its masks tinted and outlined and its things named; a caption below says its id and names.

    Args:
        collection: that the photo is in.
        row: of the photo.
        photos: folder of the photos.
        size: longer side of the photo, pixels.

    Returns:
        An RGB picture, :data:`_CAPTION` pixels higher than the photo.

    Raises:
        DataError: the photo or a mask is broken.
    """
    height, width = int(collection.heights[row]), int(collection.widths[row])
    photo_id, name = int(collection.photo_ids[row]), collection.file_names[row]
    square = decode_photo(PhotoFile(str(photos / name), photo_id, height, width), size).astype(np.float32)
    offsets, by_photo = collection.by_photo()
    annotations = by_photo[offsets[row] : offsets[row + 1]]
    drawn = annotations[collection.kind[annotations] != NO_MASK]
    masks = coverage(collection, drawn, size)
    # Large things first, so that small ones in front of them stay visible.
    order = np.argsort(-masks.sum(axis=(1, 2)), kind="stable")
    for number in order.tolist():
        colour = np.array(category_colour(int(collection.annotation_category[drawn[number]])), np.float32)
        _tint(square, masks[number], colour)
    shrink = size / max(height, width)
    shape = max(1, round(width * shrink)), max(1, round(height * shrink))
    photo = Image.fromarray(np.clip(square, 0, 255).astype(np.uint8)).resize(shape, Image.Resampling.BICUBIC)
    tile = Image.new("RGB", (shape[0], shape[1] + _CAPTION), _BACKGROUND)
    tile.paste(photo, (0, 0))
    pen = ImageDraw.Draw(tile)
    for number in order.tolist():
        _name_thing(pen, collection, int(drawn[number]), masks[number], shape)
    names = sorted(
        {collection.category_names[number] for number in collection.annotation_category[annotations].tolist()}
    )
    _text(pen, (2, shape[1] + 1), f"{photo_id}: {', '.join(names) or 'no annotation'}", (220, 222, 226), shape[0] - 4)
    return tile


def category_colour(row: int) -> tuple[int, int, int]:
    """Return the colour of a category, RGB 0..255: hues a golden angle apart, so that neighbours differ."""
    hue = (row * 0.618033988749895) % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.62 + 0.3 * (row % 3) / 2, 0.95 - 0.15 * (row % 2))
    return round(red * 255), round(green * 255), round(blue * 255)


def _tint(square: npt.NDArray[np.float32], mask: npt.NDArray[np.float32], colour: npt.NDArray[np.float32]) -> None:
    inner = np.pad(mask, 1)
    eroded = np.minimum.reduce([inner[:-2, 1:-1], inner[2:, 1:-1], inner[1:-1, :-2], inner[1:-1, 2:], mask])
    alpha = (_OPACITY * mask + (0.95 - _OPACITY) * (mask - eroded))[..., None]
    square += alpha * (colour - square)


def _name_thing(
    pen: ImageDraw.ImageDraw,
    collection: Collection,
    annotation: int,
    mask: npt.NDArray[np.float32],
    shape: tuple[int, int],
) -> None:
    size = len(mask)
    weight = float(mask.sum())
    if weight < 0.004 * size * size:
        return
    across = float(mask.sum(axis=0) @ np.arange(size)) / weight * shape[0] / size
    down = float(mask.sum(axis=1) @ np.arange(size)) / weight * shape[1] / size
    category = int(collection.annotation_category[annotation])
    text = collection.category_names[category] + (" (crowd)" if collection.crowd[annotation] else "")
    half = pen.textlength(text, font=_font()) / 2
    x = min(max(across - half, 1), max(shape[0] - 2 * half - 1, 1))
    _text(pen, (x, min(max(down - 6, 0), shape[1] - 13)), text, (255, 255, 255), shape[0])


def _text(
    pen: ImageDraw.ImageDraw, place: tuple[float, float], text: str, colour: tuple[int, int, int], width: float
) -> None:
    font = _font()
    if pen.textlength(text, font=font) > width:
        while text and pen.textlength(text + "...", font=font) > width:
            text = text[:-1]
        text += "..."
    pen.text(place, text, fill=colour, font=font, stroke_width=1, stroke_fill=(0, 0, 0))


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(11)


def _sheet(tiles: list[Image.Image], cell: int) -> Image.Image:
    columns = min(len(tiles), max(1, round(np.sqrt(len(tiles) * 1.5))))
    rows = [tiles[start : start + columns] for start in range(0, len(tiles), columns)]
    heights = [max(tile.height for tile in row) for row in rows]
    sheet = Image.new(
        "RGB",
        (columns * (cell + _MARGIN) + _MARGIN, sum(heights) + (len(rows) + 1) * _MARGIN),
        _BACKGROUND,
    )
    top = _MARGIN
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            sheet.paste(tile, (_MARGIN + column * (cell + _MARGIN) + (cell - tile.width) // 2, top))
        top += height + _MARGIN
    return sheet


def _write(sheet: Image.Image, out: Path) -> None:
    kind = Image.registered_extensions()[out.suffix.lower()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(out, out.with_name(f".{out.name}.{os.getpid()}.tmp")) as file:
            sheet.save(file, kind)
    except OSError as error:
        raise system_error(f"{out} cannot be written", error, "--out") from None
