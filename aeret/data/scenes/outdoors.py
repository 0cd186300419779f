"""Draw the things of the supercategory ``outdoor``."""

from __future__ import annotations

import numpy as np

from aeret.data.scenes.paint import choose, jitter, shade
from aeret.data.scenes.shapes import Figure, box, bumpy, ellipse, limb, polygon, rounded

_LEAVES = [(56, 104, 44), (84, 128, 50), (40, 84, 52), (150, 130, 44), (176, 96, 40)]
_WALLS = [(214, 196, 166), (190, 110, 84), (226, 222, 212), (160, 168, 176), (206, 180, 120)]
_ROOFS = [(150, 60, 44), (92, 74, 66), (70, 78, 92), (120, 52, 48)]


def tree(rng: np.random.Generator) -> Figure:
    """Draw a broad-leaved tree, sometimes with a gap, or a fir."""
    leaf = choose(rng, _LEAVES)
    trunk = jitter(rng, (92, 66, 44))
    if rng.random() < 0.3:
        figure = Figure(0.6, "leaves", 0.2)
        green = jitter(rng, (34, 78, 52))
        figure.add(box(0.26, 0.8, 0.34, 1.0), trunk)
        for number, top in enumerate((0.0, 0.2, 0.42)):
            reach = 0.15 + 0.07 * number
            figure.add(
                polygon((0.3, top), (0.3 + reach, top + 0.4), (0.3, top + 0.36), (0.3 - reach, top + 0.4)),
                shade(green, 1.12 - 0.1 * number),
            )
        return figure
    figure = Figure(0.8, "leaves", 0.2)
    figure.add(limb((0.4, 1.0, 0.06), (0.4, 0.7, 0.04), (0.4 + rng.uniform(-0.05, 0.05), 0.4, 0.03)), trunk)
    figure.add(limb((0.4, 0.72, 0.025), (0.56, 0.5, 0.018)), trunk)
    figure.add(bumpy(rng, 0.4, 0.33, 0.37, 0.31, 11, 0.2), leaf)
    figure.add(bumpy(rng, 0.28, 0.4, 0.2, 0.18, 8, 0.2), shade(leaf, 0.84))
    figure.add(bumpy(rng, 0.5, 0.24, 0.2, 0.16, 8, 0.2), shade(leaf, 1.16))
    if rng.random() < 0.4:
        figure.cut(bumpy(rng, rng.uniform(0.28, 0.52), rng.uniform(0.25, 0.45), 0.06, 0.05, 5, 0.3))
    return figure


def house(rng: np.random.Generator) -> Figure:
    """Draw a house with a pitched roof, a door and windows."""
    wide = rng.uniform(0.95, 1.7)
    figure = Figure(wide, "cloth", 0.05)
    wall, roof = choose(rng, _WALLS), choose(rng, _ROOFS)
    eaves = rng.uniform(0.36, 0.46)
    if rng.random() < 0.6:
        x = wide * rng.uniform(0.6, 0.75)
        figure.add(box(x, 0.04, x + 0.1, 0.35), shade(roof, 0.7))
    figure.add(box(0.06, eaves - 0.02, wide - 0.06, 1.0), wall)
    ridge = wide * rng.uniform(0.15, 0.5)
    figure.add(polygon((0.0, eaves), (ridge, 0.06), (wide - ridge, 0.06), (wide, eaves)), roof)
    glass = jitter(rng, choose(rng, [(80, 100, 120), (236, 208, 130)]), 6)
    columns = max(2, round(wide / 0.38))
    door = int(rng.integers(columns))
    pitch = (wide - 0.2) / columns
    for number in range(columns):
        left = 0.1 + number * pitch + pitch * 0.22
        if number == door:
            figure.add(
                box(left, 0.68, left + pitch * 0.56, 1.0), choose(rng, [(110, 60, 36), (50, 80, 60), (60, 66, 90)])
            )
        else:
            figure.add(box(left - 0.02, 0.55, left + pitch * 0.56 + 0.02, 0.82), (236, 234, 226))
            figure.add(box(left, 0.57, left + pitch * 0.56, 0.8), glass)
    return figure


def street_lamp(rng: np.random.Generator) -> Figure:
    """Draw a street lamp: an arm on a pole, or a lantern."""
    figure = Figure(0.36, "grain", 0.04)
    iron = choose(rng, [(54, 58, 60), (40, 60, 50), (130, 132, 134)])
    glow = jitter(rng, (250, 236, 180), 6)
    if rng.random() < 0.5:
        figure.add(limb((0.08, 1.0, 0.03), (0.08, 0.12, 0.02)), iron)
        figure.add(limb((0.08, 0.13, 0.018), (0.16, 0.06, 0.016), (0.3, 0.06, 0.016)), iron)
        figure.add(rounded(0.2, 0.05, 0.36, 0.1, 3.0, 14), glow)
    else:
        figure.add(limb((0.18, 1.0, 0.032), (0.18, 0.2, 0.02)), iron)
        figure.add(polygon((0.1, 0.06), (0.26, 0.06), (0.23, 0.2), (0.13, 0.2)), glow)
        figure.add(polygon((0.07, 0.07), (0.18, 0.0), (0.29, 0.07)), iron)
    figure.add(ellipse(figure.layers[0][0][0, 0], 0.985, 0.06, 0.02), shade(iron, 0.8))
    return figure
