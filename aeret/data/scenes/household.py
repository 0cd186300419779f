"""Draw the things of the supercategory ``household``."""

from __future__ import annotations

import numpy as np

from aeret.data.scenes.paint import choose, jitter, shade
from aeret.data.scenes.shapes import Figure, box, bumpy, ellipse, limb, polygon, rounded, smooth

_WOODS = [(150, 98, 56), (104, 66, 40), (196, 152, 100), (226, 220, 210), (70, 52, 44)]
_GLAZES = [(50, 90, 150), (190, 80, 60), (60, 130, 110), (230, 226, 214), (150, 60, 110), (214, 170, 50)]
_PETALS = [(220, 60, 70), (240, 200, 60), (230, 130, 190), (250, 250, 244), (150, 90, 200), (240, 140, 50)]


def chair(rng: np.random.Generator) -> Figure:
    """Draw a chair with an open back."""
    figure = Figure(0.62, "bark", 0.07)
    wood = choose(rng, _WOODS)
    seat = wood if rng.random() < 0.5 else choose(rng, _GLAZES)
    for x in (0.13, 0.41):
        figure.add(limb((x + 0.03, 0.6, 0.026), (x + 0.04, 0.93, 0.02)), shade(wood, 0.65))
    figure.add(rounded(0.06, 0.0, 0.5, 0.58, 9.0), wood)
    slats = int(rng.integers(2, 4))
    wide = 0.34 / slats
    for number in range(slats):
        left = 0.11 + number * wide
        figure.cut(rounded(left, 0.09, left + wide - 0.035, 0.47, 6.0, 16))
    figure.add(polygon((0.04, 0.55), (0.5, 0.55), (0.6, 0.66), (0.02, 0.66)), seat)
    figure.add(box(0.02, 0.66, 0.6, 0.7), shade(seat, 0.7))
    for x in (0.05, 0.56):
        figure.add(limb((x, 0.68, 0.03), (x, 1.0, 0.024)), shade(wood, 0.9))
    return figure


def table(rng: np.random.Generator) -> Figure:
    """Draw a table from the front and slightly above."""
    wide = rng.uniform(1.5, 2.2)
    figure = Figure(wide, "streaks", 0.06)
    wood = choose(rng, _WOODS)
    for x in (0.3, wide - 0.3):
        figure.add(limb((x, 0.2, 0.045), (x, 0.86, 0.035)), shade(wood, 0.6))
    figure.add(polygon((0.18, 0.02), (wide - 0.18, 0.02), (wide, 0.22), (0.0, 0.22)), shade(wood, 1.1))
    figure.add(box(0.0, 0.22, wide, 0.3), shade(wood, 0.75))
    figure.add(box(0.1, 0.3, wide - 0.1, 0.38), shade(wood, 0.62))
    for x in (0.1, wide - 0.1):
        figure.add(limb((x, 0.28, 0.055), (x, 1.0, 0.042)), shade(wood, 0.85))
    return figure


def floor_lamp(rng: np.random.Generator) -> Figure:
    """Draw a floor lamp with a shade."""
    figure = Figure(0.42, "cloth", 0.04)
    metal = choose(rng, [(60, 54, 50), (180, 150, 90), (190, 192, 196)])
    cloth = choose(rng, [(246, 226, 170), (236, 190, 120), (226, 222, 214), (180, 70, 60)])
    narrow = rng.uniform(0.06, 0.14)
    figure.add(limb((0.21, 0.24, 0.016), (0.21, 0.97, 0.018)), metal)
    figure.add(ellipse(0.21, 0.97, 0.13, 0.03), shade(metal, 0.8))
    figure.add(polygon((0.21 - narrow, 0.0), (0.21 + narrow, 0.0), (0.41, 0.28), (0.01, 0.28)), cloth)
    figure.add(box(0.02, 0.255, 0.4, 0.28), shade(cloth, 0.8))
    return figure


def vase(rng: np.random.Generator) -> Figure:
    """Draw a vase with flowers or with an open handle."""
    figure = Figure(0.72, "cloth", 0.05)
    glaze = choose(rng, _GLAZES)
    if rng.random() < 0.35:
        figure.add(ellipse(0.56, 0.5, 0.15, 0.22), shade(glaze, 0.8))
        figure.cut(ellipse(0.57, 0.5, 0.085, 0.14))
        top = 0.1
    else:
        top = 0.44
        petals = choose(rng, _PETALS)
        for _ in range(int(rng.integers(4, 7))):
            x, y = rng.uniform(0.12, 0.6), rng.uniform(0.08, 0.3)
            figure.add(limb((x, y, 0.014), ((x + 0.36) / 2, 0.34, 0.014), (0.36, 0.5, 0.014)), (60, 120, 56))
            figure.add(bumpy(rng, x, y, 0.1, 0.09, 5, 0.3), jitter(rng, petals, 14))
            figure.add(ellipse(x, y, 0.03, 0.03, 0, 8), (240, 210, 90))
    waist = rng.uniform(0.08, 0.14)
    figure.add(
        smooth(
            [
                (0.36 - waist, top),
                (0.36 + waist, top),
                (0.36 + waist * 0.9, top + 0.08),
                (0.58, (top + 1) / 2 + 0.02),
                (0.48, 0.98),
                (0.24, 0.98),
                (0.14, (top + 1) / 2 + 0.02),
                (0.36 - waist * 0.9, top + 0.08),
            ]
        ),
        glaze,
    )
    figure.add(limb((0.17, (top + 1) / 2 + 0.02, 0.022), (0.55, (top + 1) / 2 + 0.02, 0.022)), shade(glaze, 1.4))
    return figure


def clock(rng: np.random.Generator) -> Figure:
    """Draw a wall clock, round or square."""
    figure = Figure(1.0, "cloth", 0.03)
    rim = choose(rng, [(50, 44, 42), (150, 90, 50), (190, 50, 50), (60, 90, 140), (200, 202, 206)])
    face = jitter(rng, (244, 242, 234), 5)
    if rng.random() < 0.7:
        figure.add(ellipse(0.5, 0.5, 0.5, 0.5, 0, 32), rim)
        figure.add(ellipse(0.5, 0.5, 0.42, 0.42, 0, 32), face)
    else:
        figure.add(rounded(0.0, 0.0, 1.0, 1.0, 8.0), rim)
        figure.add(rounded(0.09, 0.09, 0.91, 0.91, 8.0), face)
    for hour in range(12):
        turn = hour * np.pi / 6
        x, y = float(np.cos(turn)), float(np.sin(turn))
        figure.add(limb((0.5 + 0.33 * x, 0.5 + 0.33 * y, 0.02), (0.5 + 0.39 * x, 0.5 + 0.39 * y, 0.02)), (40, 40, 44))
    for length, half in ((0.2, 0.03), (0.31, 0.02)):
        turn = rng.uniform(0, 2 * np.pi)
        figure.add(
            limb((0.5, 0.5, half), (0.5 + length * float(np.cos(turn)), 0.5 + length * float(np.sin(turn)), half)),
            (24, 24, 28),
        )
    return figure
