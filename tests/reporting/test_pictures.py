"""Thumbnails and category maps."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from aeret.reporting.pictures import OTHER, PALETTE, Painter, thumbnail


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def test_a_thumbnail_has_the_shape_of_the_original_and_is_small() -> None:
    photo = np.full((112, 112, 3), 90, np.uint8)
    wide = thumbnail(photo, "a photo", side=96, aspect=2.0)
    assert (wide.width, wide.height) == (96, 48)
    tall = thumbnail(photo, "a photo", side=96, aspect=0.5)
    assert (tall.width, tall.height) == (48, 96)
    assert pixels(wide.data).shape == (48, 96, 4)
    assert abs(int(pixels(wide.data)[20, 20, 0]) - 90) < 4
    assert thumbnail(photo, "", side=500).width == 112, "never enlarged"


def test_colours_go_to_the_commonest_channels_and_the_rest_share_grey() -> None:
    layout = np.zeros((10, 10, 9), np.float32)
    for channel in range(9):
        layout[channel, : 10 - channel, channel] = 1
    names = [f"c{channel}" for channel in range(9)]
    painter = Painter(names, [layout], [1.0])
    assert [swatch.name for swatch in painter.legend] == [*names[:7], "2 other"]
    assert [swatch.colour for swatch in painter.legend] == [*PALETTE, OTHER]
    image = pixels(painter.paint(layout, "map").data)
    assert tuple(image[0, 0]) == (*rgb(PALETTE[0]), 255)
    assert tuple(image[8, 0]) == (*rgb(OTHER), 255)
    assert image[9, 9, 3] == 0, "an empty cell is transparent"


def test_the_smaller_object_lies_on_top_of_the_larger() -> None:
    layout = np.zeros((6, 6, 2), np.float32)
    layout[:, :, 0] = 1
    layout[2:4, 2:4, 1] = 1
    painter = Painter(["table", "cup"], [layout], [1.0])
    image = pixels(painter.paint(layout, "map").data)
    assert tuple(image[0, 0, :3]) == rgb(PALETTE[0])
    assert tuple(image[2, 2, :3]) == rgb(PALETTE[1])


def test_a_decoded_map_fades_where_it_is_unsure() -> None:
    layout = np.zeros((1, 4, 2), np.float32)
    layout[0, :, 0] = (0.9, 0.3, 0.1, 0.6)
    layout[0, 3, 1] = 0.8
    painter = Painter(["a", "b"], [layout], [1.0])
    image = pixels(painter.paint(layout, "map").data)
    assert image[0, :, 3].tolist() == [255, 96, 0, 255]
    assert tuple(image[0, 3, :3]) == rgb(PALETTE[1]), "the more probable channel shows"


def test_an_empty_map_has_no_legend() -> None:
    layout = np.zeros((4, 4, 3), np.float32)
    painter = Painter(["a", "b", "c"], [layout], [1.0])
    assert painter.legend == ()
    assert pixels(painter.paint(layout, "map").data)[:, :, 3].max() == 0
