"""Thumbnails and category maps."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import synthetic_evaluation as synthetic
from PIL import Image

from aeret.reporting.colours import OTHER, PALETTE, colours_of
from aeret.reporting.pictures import Painter, map_colours, thumbnail


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


def test_maps_are_painted_in_the_colours_given_and_the_legend_says_what_shows() -> None:
    layout = np.zeros((10, 10, 12), np.float32)
    for channel in range(1, 10):
        layout[channel - 1, : channel + 1, channel] = 1
    layout[9, 9, 10] = 0.3
    layout[9, 9, 11] = 0.2
    names = [f"c{channel}" for channel in range(12)]
    colours = colours_of(names)
    painter = Painter(names, [layout], [1.0], colours)
    # Largest first; neither the empty channel nor the one that stays behind another.
    assert [swatch.name for swatch in painter.legend] == [*reversed(names[1:10]), "c10"]
    assert all(swatch.colour == colours[swatch.name] for swatch in painter.legend)
    image = pixels(painter.paint(layout, "map").data)
    for channel in range(1, 10):
        assert tuple(image[channel - 1, 0]) == (*rgb(colours[names[channel]]), 255)
    assert tuple(image[9, 9]) == (*rgb(colours["c10"]), 96)
    assert image[9, 0, 3] == 0, "an empty cell is transparent"
    assert Painter(names, [layout], [1.0], {}).legend[0].colour == OTHER


def test_the_query_leads_the_legend() -> None:
    query, result = np.zeros((2, 4, 4, 2), np.float32)
    query[0, 0, 1] = 1
    result[:, :, 0] = 1
    painter = Painter(["a", "b"], [query, result], [1000.0, 1.0], colours_of(["a", "b"]))
    assert [swatch.name for swatch in painter.legend] == ["b", "a"]


def test_colours_are_distinct_and_those_of_a_name_do_not_depend_on_the_names_after_it() -> None:
    names = [f"c{place}" for place in range(93)]
    colours = colours_of([*names, *names])
    assert list(colours) == names
    assert tuple(colours.values())[:7] == PALETTE
    values = np.array([rgb(colour) for colour in colours.values()], float)
    far = np.linalg.norm(values[:, None] - values[None], axis=2) + 999 * np.eye(93)
    assert far.min() > 25, "two of 93 look the same"
    assert far[:20, :20].min() > 40
    for ground in ("#ffffff", "#e6e6e2", "#15181b", "#2b3035", OTHER):
        assert np.linalg.norm(values - rgb(ground), axis=1).min() > 25
    assert colours_of(names[:30]) == dict(list(colours.items())[:30])
    assert colours_of([]) == {}


def test_the_names_that_show_most_get_the_first_colours() -> None:
    split = synthetic.split()
    material = synthetic.material(split)
    planes = np.zeros_like(split.masks.planes)
    planes[:, :, :, 4] = 1
    planes[:, :3, :3, 2] = 1
    known = replace(material, queries=replace(split, masks=synthetic.MadeMasks(planes)))
    assert list(map_colours(known))[:2] == [synthetic.CATEGORIES[4], synthetic.CATEGORIES[2]]
    assert set(map_colours(known)) == {*synthetic.CATEGORIES, "anything"}
    assert map_colours(known)["anything"] == OTHER
    assert list(map_colours(replace(known, queries=None)))[:6] == list(synthetic.CATEGORIES)


def test_a_map_of_more_colours_than_a_palette_holds_keeps_them() -> None:
    layout = np.eye(400, dtype=np.float32).reshape(20, 20, 400)
    names = [f"c{place}" for place in range(400)]
    colours = {name: f"#{place // 256:02x}{place % 256:02x}80" for place, name in enumerate(names)}
    image = pixels(Painter(names, [layout], [1.0], colours).paint(layout, "map").data)
    assert len(np.unique(image.reshape(-1, 4), axis=0)) == 400


def test_the_smaller_object_lies_on_top_of_the_larger() -> None:
    layout = np.zeros((6, 6, 2), np.float32)
    layout[:, :, 0] = 1
    layout[2:4, 2:4, 1] = 1
    painter = Painter(["table", "cup"], [layout], [1.0], colours_of(["table", "cup"]))
    image = pixels(painter.paint(layout, "map").data)
    assert tuple(image[0, 0, :3]) == rgb(PALETTE[0])
    assert tuple(image[2, 2, :3]) == rgb(PALETTE[1])


def test_a_decoded_map_fades_where_it_is_unsure() -> None:
    layout = np.zeros((1, 4, 2), np.float32)
    layout[0, :, 0] = (0.9, 0.3, 0.1, 0.6)
    layout[0, 3, 1] = 0.8
    painter = Painter(["a", "b"], [layout], [1.0], colours_of(["a", "b"]))
    image = pixels(painter.paint(layout, "map").data)
    assert image[0, :, 3].tolist() == [255, 96, 0, 255]
    assert tuple(image[0, 3, :3]) == rgb(PALETTE[1]), "the more probable channel shows"


def test_an_empty_map_has_no_legend() -> None:
    layout = np.zeros((4, 4, 3), np.float32)
    painter = Painter(["a", "b", "c"], [layout], [1.0], colours_of(["a", "b", "c"]))
    assert painter.legend == ()
    assert pixels(painter.paint(layout, "map").data)[:, :, 3].max() == 0
